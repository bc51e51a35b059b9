//! Apache Parquet, as much of it as a table needs: <https://parquet.apache.org/docs/file-format/>.
//!
//! In: rows of optional values. Out: a file of row groups; in each, a column is one dictionary page and one data page, not
//! compressed. State between calls: the rows of the unfinished group, and what the footer will say of finished ones.
//! Decimals are `DECIMAL(38, 9)` in sixteen bytes, moments are microseconds in UTC, text is UTF-8.

use std::io::{self, Write};

use hashbrown::HashMap;

use super::{Column, Type, Value};

/// Rows of a group.
const GROUP: usize = 65_536;

const MAGIC: &[u8; 4] = b"PAR1";

/// Numbers of the format.
const INT64: i32 = 2;
const BYTE_ARRAY: i32 = 6;
const FIXED: i32 = 7;
const OPTIONAL: i32 = 1;
const UTF8: i32 = 0;
const DECIMAL: i32 = 5;
const TIMESTAMP_MICROS: i32 = 10;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;
const DATA_PAGE: i32 = 0;
const DICTIONARY_PAGE: i32 = 2;

/// A file that is being written.
pub(super) struct Parquet<'a> {
    out: &'a mut dyn Write,
    at: usize,
    columns: &'a [Column],
    pending: Vec<Pending>,
    rows: usize,
    groups: Vec<Group>,
}

/// The values of a column in the unfinished group.
#[derive(Default)]
struct Pending {
    dictionary: Vec<u8>,
    known: HashMap<Box<[u8]>, u32>,
    indices: Vec<u32>,
    is_there: Vec<u32>,
}

struct Group {
    rows: usize,
    chunks: Vec<Chunk>,
}

struct Chunk {
    dictionary_at: usize,
    data_at: usize,
    bytes: usize,
}

impl<'a> Parquet<'a> {
    pub(super) fn new(out: &'a mut dyn Write, columns: &'a [Column]) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let pending = columns.iter().map(|_| Pending::default()).collect();
        Ok(Self { out, at: MAGIC.len(), columns, pending, rows: 0, groups: Vec::new() })
    }

    /// Takes a row, a value for each column.
    pub(super) fn row(&mut self, values: impl Iterator<Item = Value>) -> io::Result<()> {
        for (pending, value) in self.pending.iter_mut().zip(values) {
            pending.push(&value);
        }
        self.rows += 1;
        if self.rows == GROUP { self.flush() } else { Ok(()) }
    }

    /// Writes what is left, and the footer.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.flush()?;
        }
        let footer = self.footer();
        self.out.write_all(&footer)?;
        self.out.write_all(&size(footer.len())?.to_le_bytes())?;
        self.out.write_all(MAGIC)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut chunks = Vec::with_capacity(self.columns.len());
        for pending in &mut self.pending {
            let column = std::mem::take(pending);
            let dictionary_at = self.at;
            let dictionary = column.dictionary_page()?;
            let data = column.data_page()?;
            self.out.write_all(&dictionary)?;
            self.out.write_all(&data)?;
            self.at += dictionary.len() + data.len();
            chunks.push(Chunk {
                dictionary_at,
                data_at: dictionary_at + dictionary.len(),
                bytes: dictionary.len() + data.len(),
            });
        }
        self.groups.push(Group { rows: self.rows, chunks });
        self.rows = 0;
        Ok(())
    }

    fn footer(&self) -> Vec<u8> {
        let mut out = Thrift::default();
        out.i32(1, 2);
        out.list(2, STRUCT, self.columns.len() + 1);
        out.element(|out| {
            out.text(4, "charges");
            out.i32(5, i32::try_from(self.columns.len()).unwrap_or(i32::MAX));
        });
        for column in self.columns {
            out.element(|out| schema(out, column));
        }
        out.i64(3, self.groups.iter().map(|group| group.rows).sum());
        out.list(4, STRUCT, self.groups.len());
        for group in &self.groups {
            out.element(|out| self.group(out, group));
        }
        out.text(6, concat!("faregate version ", env!("CARGO_PKG_VERSION")));
        out.bytes.push(0);
        out.bytes
    }

    fn group(&self, out: &mut Thrift, group: &Group) {
        out.list(1, STRUCT, group.chunks.len());
        for (column, chunk) in self.columns.iter().zip(&group.chunks) {
            out.element(|out| {
                out.i64(2, chunk.dictionary_at);
                out.structure(3, |out| {
                    out.i32(1, physical(column.holds));
                    out.list(2, I32, 3);
                    [PLAIN, RLE, RLE_DICTIONARY].iter().for_each(|of| out.zigzag((*of).into()));
                    out.list(3, BINARY, 1);
                    out.raw_text(column.name);
                    out.i32(4, 0);
                    out.i64(5, group.rows);
                    out.i64(6, chunk.bytes);
                    out.i64(7, chunk.bytes);
                    out.i64(9, chunk.data_at);
                    out.i64(11, chunk.dictionary_at);
                });
            });
        }
        out.i64(2, group.chunks.iter().map(|chunk| chunk.bytes).sum());
        out.i64(3, group.rows);
    }
}

impl Pending {
    fn push(&mut self, value: &Value) {
        let bytes: Box<[u8]> = match value {
            Value::Null => {
                self.is_there.push(0);
                return;
            }
            Value::Text(text) => text.as_bytes().into(),
            Value::Decimal(billionths) => billionths.to_be_bytes().into(),
            Value::Time(nanos) => (nanos / 1_000).to_le_bytes().into(),
        };
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let index = *self.known.entry(bytes).or_insert_with_key(|bytes| {
            if matches!(value, Value::Text(_)) {
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                self.dictionary.extend(len.to_le_bytes());
            }
            self.dictionary.extend_from_slice(bytes);
            next
        });
        self.is_there.push(1);
        self.indices.push(index);
    }

    fn dictionary_page(&self) -> io::Result<Vec<u8>> {
        page(DICTIONARY_PAGE, &self.dictionary, 7, |out| {
            out.i32(1, size(self.known.len())?);
            out.i32(2, PLAIN);
            Ok(())
        })
    }

    fn data_page(&self) -> io::Result<Vec<u8>> {
        let levels = hybrid(&self.is_there, 1);
        let mut body = size(levels.len())?.to_le_bytes().to_vec();
        body.extend(levels);
        let width = bits(self.known.len().saturating_sub(1));
        body.push(width);
        body.extend(hybrid(&self.indices, width));
        page(DATA_PAGE, &body, 5, |out| {
            out.i32(1, size(self.is_there.len())?);
            out.i32(2, RLE_DICTIONARY);
            out.i32(3, RLE);
            out.i32(4, RLE);
            Ok(())
        })
    }
}

/// A page with its header; `write` writes the part of the header, of number `part`, that is the kind's own.
fn page(
    kind: i32,
    body: &[u8],
    part: u8,
    write: impl FnOnce(&mut Thrift) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut out = Thrift::default();
    out.i32(1, kind);
    out.i32(2, size(body.len())?);
    out.i32(3, size(body.len())?);
    let mut written = Ok(());
    out.structure(part, |out| written = write(out));
    written?;
    out.bytes.push(0);
    out.bytes.extend_from_slice(body);
    Ok(out.bytes)
}

/// Numbers of `width` bits as one run: repeated when they are all the same, packed otherwise.
fn hybrid(numbers: &[u32], width: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(first) = numbers.first() else { return out };
    if numbers.iter().all(|number| number == first) {
        varint(&mut out, (numbers.len() as u64) << 1);
        out.extend_from_slice(&first.to_le_bytes()[..usize::from(width.div_ceil(8))]);
        return out;
    }
    let groups = numbers.len().div_ceil(8);
    varint(&mut out, (groups as u64) << 1 | 1);
    let (mut held, mut count) = (0_u64, 0);
    for number in numbers.iter().copied().chain([0].into_iter().cycle()).take(groups * 8) {
        held |= u64::from(number) << count;
        count += width;
        while count >= 8 {
            out.extend_from_slice(&held.to_le_bytes()[..1]);
            held >>= 8;
            count -= 8;
        }
    }
    out
}

/// Bits that a number needs.
fn bits(number: usize) -> u8 {
    u8::try_from(usize::BITS - number.leading_zeros()).unwrap_or(32)
}

fn schema(out: &mut Thrift, column: &Column) {
    out.i32(1, physical(column.holds));
    if column.holds == Type::Decimal {
        out.i32(2, 16);
    }
    out.i32(3, OPTIONAL);
    out.text(4, column.name);
    match column.holds {
        Type::Text => out.i32(6, UTF8),
        Type::Time => out.i32(6, TIMESTAMP_MICROS),
        Type::Decimal => {
            out.i32(6, DECIMAL);
            out.i32(7, 9);
            out.i32(8, 38);
        }
    }
}

const fn physical(holds: Type) -> i32 {
    match holds {
        Type::Text => BYTE_ARRAY,
        Type::Decimal => FIXED,
        Type::Time => INT64,
    }
}

fn size(len: usize) -> io::Result<i32> {
    i32::try_from(len).map_err(|_| io::Error::other("a page of more than 2 GiB"))
}

/// Kinds of fields of Thrift's compact protocol:
/// <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Writes structures in Thrift's compact protocol, fields in the order of their numbers.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    last: u8,
}

impl Thrift {
    fn field(&mut self, number: u8, kind: u8) {
        // Numbers here are below sixteen apart.
        self.bytes.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    fn i32(&mut self, number: u8, value: i32) {
        self.field(number, I32);
        self.zigzag(value.into());
    }

    fn i64(&mut self, number: u8, value: usize) {
        self.field(number, I64);
        self.zigzag(i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn text(&mut self, number: u8, text: &str) {
        self.field(number, BINARY);
        self.raw_text(text);
    }

    fn raw_text(&mut self, text: &str) {
        varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Opens a list; its elements follow.
    fn list(&mut self, number: u8, of: u8, len: usize) {
        self.field(number, LIST);
        match u8::try_from(len) {
            Ok(len) if len < 15 => self.bytes.push(len << 4 | of),
            _ => {
                self.bytes.push(0xf0 | of);
                varint(&mut self.bytes, len as u64);
            }
        }
    }

    fn structure(&mut self, number: u8, write: impl FnOnce(&mut Self)) {
        self.field(number, STRUCT);
        self.element(write);
    }

    /// A structure that stands in a list.
    fn element(&mut self, write: impl FnOnce(&mut Self)) {
        let last = std::mem::take(&mut self.last);
        write(self);
        self.bytes.push(0);
        self.last = last;
    }

    fn zigzag(&mut self, value: i64) {
        varint(&mut self.bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
    }
}

/// A number in groups of seven bits, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value & 0x7f;
        value >>= 7;
        let more = u64::from(value != 0) << 7;
        out.extend_from_slice(&(low | more).to_le_bytes()[..1]);
        if value == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_from_the_lowest_bit() {
        // The example of the specification: 0 to 7 in three bits each.
        assert_eq!(
            hybrid(&[0, 1, 2, 3, 4, 5, 6, 7], 3),
            [3, 0b1000_1000, 0b1100_0110, 0b1111_1010]
        );
        assert_eq!(hybrid(&[4, 4, 4], 3), [6, 4]);
        assert_eq!(hybrid(&[1, 0, 1], 1), [3, 0b101]);
        assert_eq!(hybrid(&[0, 0], 0), [4]);
        assert!(hybrid(&[], 1).is_empty());
    }

    #[test]
    fn numbers_have_as_many_bits_as_they_need() {
        assert_eq!([0, 1, 2, 255, 256].map(bits), [0, 1, 2, 8, 9]);
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
    }
}
