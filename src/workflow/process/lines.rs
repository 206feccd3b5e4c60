//! Bytes from a pipe, cut into lines of bounded length.

/// A longer line is cut here: the log is for people.
const LONGEST: usize = 64 * 1024;

/// The line that is not complete yet.
#[derive(Default)]
pub struct Lines {
    begun: Vec<u8>,
    left_out: usize,
}

impl Lines {
    /// Takes more bytes and hands over each line that they complete.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                // Most lines come whole and need no copy.
                Some(whole) if self.begun.is_empty() && whole.len() <= LONGEST => {
                    hand_over(whole, 0, &mut line)
                }
                Some(end) => {
                    self.keep(end);
                    self.finish(&mut line);
                }
                None => self.keep(part),
            }
        }
    }

    /// Hands over what is left when nothing more comes.
    pub fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.begun.is_empty() {
            hand_over(&self.begun, self.left_out, &mut line);
            self.begun.clear();
            self.left_out = 0;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.begun.len()).min(bytes.len());
        self.begun.extend_from_slice(&bytes[..room]);
        self.left_out += bytes.len() - room;
    }
}

fn hand_over(bytes: &[u8], left_out: usize, line: &mut impl FnMut(&str)) {
    let text = String::from_utf8_lossy(bytes);
    match left_out {
        0 => line(text.trim_end()),
        n => line(&format!("{text} … ({n} more bytes of this line are left out)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for part in parts {
            lines.push(part, |line| found.push(line.to_owned()));
        }
        lines.finish(|line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_come() {
        assert_eq!(lines(&[b"one\ntwo\r\n\nthree"]), ["one", "two", "", "three"]);
        let single: Vec<&[u8]> = b"one\ntwo\r\n\nthree".chunks(1).collect();
        assert_eq!(lines(&single), ["one", "two", "", "three"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_is_cut_and_says_so() {
        let part = vec![b'a'; LONGEST - 1];
        let found = lines(&[&part, &part, b"\nnext\n"]);
        let end = format!("a … ({} more bytes of this line are left out)", LONGEST - 2);
        assert!(found[0].ends_with(&end), "{}", &found[0][LONGEST - 5..]);
        assert_eq!(found[0].len(), LONGEST - 1 + end.len());
        assert_eq!(found[1], "next");
        assert_eq!(lines(&[&vec![b'b'; 3 * LONGEST], b"\n"])[0].matches('b').count(), LONGEST + 1);
    }
}
