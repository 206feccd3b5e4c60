//! Checksums of whole objects: those that people give (`sha256:…`), and those that an ETag is.
//!
//! The ETag of an object in S3 is the MD5 of its bytes; that of one written in `n` parts is the MD5 of
//! the MD5s of its parts, then `-n`. An object that the server encrypts with a key of its own has an ETag
//! that says nothing; other servers put there what they like. So an ETag is taken for a checksum only where
//! S3 answers and does not speak of such a key.

use std::fmt;
use std::str::FromStr;

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// The checksum of the bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// MD5 of everything.
    Md5([u8; 16]),
    /// MD5 of the MD5s of this many parts.
    Md5OfParts([u8; 16], usize),
    /// SHA-256.
    Sha256([u8; 32]),
    /// BLAKE3.
    Blake3([u8; 32]),
}

impl Checksum {
    /// What an ETag of S3 says.
    pub fn of_etag(etag: &str) -> Option<Self> {
        let text = etag.trim_matches('"');
        match text.split_once('-') {
            Some((md5, parts)) => Some(Self::Md5OfParts(from_hex(md5)?, parts.parse().ok()?)),
            None => Some(Self::Md5(from_hex(text)?)),
        }
    }

    /// Its bytes, filled up with zeros to 32.
    pub fn widened(&self) -> [u8; 32] {
        match self {
            Self::Md5(bytes) | Self::Md5OfParts(bytes, _) => {
                let mut wide = [0; 32];
                wide[..16].copy_from_slice(bytes);
                wide
            }
            Self::Sha256(bytes) | Self::Blake3(bytes) => *bytes,
        }
    }

    /// What works it out from the whole object; nothing where it takes the parts.
    pub fn hasher(&self) -> Option<Hasher> {
        match self {
            Self::Md5(_) => Some(Hasher::Md5(Md5::new())),
            Self::Md5OfParts(..) => None,
            Self::Sha256(_) => Some(Hasher::Sha256(Sha256::new())),
            Self::Blake3(_) => Some(Hasher::Blake3(Box::default())),
        }
    }
}

/// `sha256:` (or `blake3:`, `md5:`) and hexadecimal digits.
impl FromStr for Checksum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "a checksum is `sha256:`, `blake3:` or `md5:` and hexadecimal digits, found `{}`",
                text.chars().take(80).collect::<String>()
            )
        };
        let (name, digits) = text.split_once([':', '=']).ok_or_else(expected)?;
        let digits = digits.trim();
        match name.trim() {
            "md5" => from_hex(digits).map(Self::Md5),
            "sha256" => from_hex(digits).map(Self::Sha256),
            "blake3" => from_hex(digits).map(Self::Blake3),
            _ => None,
        }
        .ok_or_else(expected)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(bytes) => write!(f, "md5:{}", hex(bytes)),
            Self::Md5OfParts(bytes, parts) => write!(f, "ETag:{}-{parts}", hex(bytes)),
            Self::Sha256(bytes) => write!(f, "sha256:{}", hex(bytes)),
            Self::Blake3(bytes) => write!(f, "blake3:{}", hex(bytes)),
        }
    }
}

/// Works out a checksum piece by piece.
pub enum Hasher {
    /// See [`Checksum::Md5`].
    Md5(Md5),
    /// See [`Checksum::Sha256`].
    Sha256(Sha256),
    /// See [`Checksum::Blake3`].
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    /// The checksum of everything that was taken.
    pub fn finish(self) -> Checksum {
        match self {
            Self::Md5(hasher) => Checksum::Md5(hasher.finalize().into()),
            Self::Sha256(hasher) => Checksum::Sha256(hasher.finalize().into()),
            Self::Blake3(hasher) => Checksum::Blake3(hasher.finalize().into()),
        }
    }
}

/// MD5 of bytes in memory.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The checksum that the ETag of an object is which was written in parts with these MD5s.
pub fn md5_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8; 16]>) -> Checksum {
    let mut hasher = Md5::new();
    let mut count = 0;
    for part in parts {
        hasher.update(part);
        count += 1;
    }
    Checksum::Md5OfParts(hasher.finalize().into(), count)
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| (digit as char).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_the_md5_of_the_bytes_or_of_the_md5s_of_the_parts() {
        let of_abc = "900150983cd24fb0d6963f7d28e17f72";
        assert_eq!(Checksum::of_etag(&format!("\"{of_abc}\"")), Some(Checksum::Md5(md5(b"abc"))));
        let parts = [md5(b"abc"), md5(b"def")];
        let whole = md5(&parts.concat());
        let etag = format!("\"{}-2\"", hex(&whole));
        assert_eq!(Checksum::of_etag(&etag), Some(md5_of_parts(&parts)));
        for other in ["\"5f2-61a\"", "W/\"x\"", "", "\"900150983cd24fb0d6963f7d28e17f7\""] {
            assert_eq!(Checksum::of_etag(other), None, "{other}");
        }
    }

    #[test]
    fn a_checksum_reads_back_as_it_is_written() {
        for name in ["md5", "sha256", "blake3"] {
            let digits = if name == "md5" { 32 } else { 64 };
            let text = format!("{name}:{}", "0f".repeat(digits / 2));
            assert_eq!(text.parse::<Checksum>().unwrap().to_string(), text);
        }
        for wrong in ["sha256:12", "sha1:00", "", "sha256", "md5:zz0150983cd24fb0d6963f7d28e17f72"] {
            assert!(wrong.parse::<Checksum>().unwrap_err().contains("sha256:"), "{wrong}");
        }
        let mut hasher = Checksum::Sha256([0; 32]).hasher().unwrap();
        hasher.update(b"abc");
        assert!(hasher.finish().to_string().starts_with("sha256:ba7816bf8f01cfea"));
    }
}
