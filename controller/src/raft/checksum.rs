//! A checksum behind what is kept in a file: CRC-32, little endian.

const BYTES: usize = 4;

/// The checksum of a content, to be written behind it.
pub(super) fn of(content: &[u8]) -> [u8; BYTES] {
    crc32fast::hash(content).to_le_bytes()
}

/// The content before its checksum; `None` if they don't match.
pub(super) fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk::<BYTES>()?;
    (of(content) == *checksum).then_some(content)
}
