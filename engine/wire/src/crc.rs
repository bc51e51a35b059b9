//! CRC-32/ISO-HDLC, the checksum of gzip, PNG and event-stream frames.
//!
//! In: bytes. Out: their checksum. Eight bytes are taken at a time, by eight tables that the compiler makes.
//! Format: <https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-32-iso-hdlc>

const POLYNOMIAL: u32 = 0xedb8_8320;

/// `TABLES[n][b]`: what the byte `b` adds to the checksum when `n` bytes follow it.
static TABLES: [[u32; 256]; 8] = tables();

/// The checksum of `bytes`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut chunks = bytes.chunks_exact(8);
    let mut sum = u32::MAX;
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        let all = u64::from_le_bytes(eight) ^ u64::from(sum);
        sum = (0..8).fold(0, |new, at| new ^ TABLES[7 - at][(all >> (8 * at) & 0xff) as usize]);
    }
    for byte in chunks.remainder() {
        sum = (sum >> 8) ^ TABLES[0][((sum ^ u32::from(*byte)) & 0xff) as usize];
    }
    !sum
}

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte as usize] = sum;
        byte += 1;
    }
    let mut at = 0;
    while at < 256 {
        let mut n = 1;
        while n < 8 {
            let before: u32 = tables[n - 1][at];
            tables[n][at] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            n += 1;
        }
        at += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, bit by bit.
    fn naive(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 }
            })
        })
    }

    #[test]
    fn the_catalogues_check_value_comes_out() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    proptest! {
        #[test]
        fn it_is_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(crc32(&bytes), naive(&bytes));
        }
    }
}
