//! One end of a command's output: read without waiting, handed over in lines.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::lines::Lines;

/// More than a pipe holds: what comes after is from somebody who does not end.
const MOST_LEFT: usize = 2 * 1024 * 1024;

/// Which output of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Its results.
    Stdout,
    /// Its messages.
    Stderr,
}

impl Stream {
    /// Its name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Who is told what a command says.
pub trait Output {
    /// A line, without its end.
    fn line(&mut self, stream: Stream, line: &str);

    /// Every line that has come so far has been handed over.
    fn caught_up(&mut self);
}

/// The reading end.
pub struct Pipe {
    stream: Stream,
    source: OwnedFd,
    lines: Lines,
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

impl Pipe {
    /// Reads `source`, from now on without waiting; the writing end stays as it is.
    pub fn new(stream: Stream, source: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&source, true)?;
        Ok(Self { stream, source, lines: Lines::default() })
    }

    /// Reads once; false when nothing more can come.
    pub fn read(&mut self, buffer: &mut [u8], output: &mut dyn Output) -> bool {
        !matches!(self.take(buffer, output), Taken::End)
    }

    /// Reads what is there; false when nothing more can come.
    pub fn drain(&mut self, buffer: &mut [u8], output: &mut dyn Output) -> bool {
        let mut left = MOST_LEFT;
        loop {
            match self.take(buffer, output) {
                Taken::End => return false,
                Taken::Bytes(n) if n < left => left -= n,
                Taken::Nothing | Taken::Bytes(_) => return true,
            }
        }
    }

    /// Hands over a last line without an end.
    pub fn finish(&mut self, output: &mut dyn Output) {
        self.lines.finish(|line| output.line(self.stream, line));
        output.caught_up();
    }

    fn take(&mut self, buffer: &mut [u8], output: &mut dyn Output) -> Taken {
        match rustix::io::read(&self.source, &mut *buffer) {
            Ok(n @ 1..) => {
                self.lines.push(&buffer[..n], |line| output.line(self.stream, line));
                output.caught_up();
                Taken::Bytes(n)
            }
            Err(Errno::AGAIN | Errno::INTR) => Taken::Nothing,
            // A pipe that cannot be read is over, too.
            Ok(_) | Err(_) => {
                self.finish(output);
                Taken::End
            }
        }
    }
}

enum Taken {
    Bytes(usize),
    /// Somebody may still write.
    Nothing,
    End,
}
