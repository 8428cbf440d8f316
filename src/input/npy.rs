//! One array of numpy's in a zip, read an element at a time and checked against the zip's CRC-32.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;
use half::f16;
use zip::{CompressionMethod, ZipArchive};

use super::decompress::BUFFER_BYTES;
use crate::one_line::one_line;

/// The most bytes of an array's header, of which numpy itself reads 10,000.
const MAX_HEADER_BYTES: u32 = 1 << 16;

/// The most bytes of a text.
const MAX_TEXT_BYTES: u64 = 64;

/// One array that is being read.
pub(super) struct Array {
    name: &'static str,
    length: u64,
    kind: Kind,
    bytes: BufReader<Checked>,
}

/// What the elements are, little-endian.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
    /// Bytes or characters, of so many bytes.
    Text(u64),
}

impl Kind {
    /// `name` is numpy's, without the byte order.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "b1" => Kind::Bool,
            "i1" => Kind::I8,
            "i2" => Kind::I16,
            "i4" => Kind::I32,
            "i8" => Kind::I64,
            "u1" => Kind::U8,
            "u2" => Kind::U16,
            "u4" => Kind::U32,
            "u8" => Kind::U64,
            "f2" => Kind::F16,
            "f4" => Kind::F32,
            "f8" => Kind::F64,
            _ => match name.split_at_checked(1)? {
                ("S", size) => Kind::Text(size.parse().ok()?),
                ("U", size) => Kind::Text(size.parse::<u64>().ok()?.checked_mul(4)?),
                _ => return None,
            },
        })
    }

    fn size(self) -> u64 {
        match self {
            Kind::Bool | Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 | Kind::F16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
            Kind::Text(size) => size,
        }
    }
}

impl Array {
    /// Opens the array `name` of the zip at `path`.
    pub fn open(zip: &mut ZipArchive<BufReader<File>>, path: &Path, name: &'static str) -> io::Result<Self> {
        let entry = zip
            .by_name(&format!("{name}.npy"))
            .map_err(|error| invalid(format!("no array `{name}`: {error}")))?;
        let start =
            entry.data_start().ok_or_else(|| invalid(format!("`{name}` has no place in the file")))?;
        // A file handle of its own: the arrays are read side by side.
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let packed = file.take(entry.compressed_size());
        let plain: Box<dyn Read + Send> = match entry.compression() {
            CompressionMethod::Stored => Box::new(packed),
            CompressionMethod::Deflated => Box::new(DeflateDecoder::new(packed)),
            other => return Err(invalid(format!("`{name}` is compressed with {other}"))),
        };
        let (expected_sum, expected_bytes) = (entry.crc32(), entry.size());
        let checked = Checked {
            bytes: plain,
            sum: crc32fast::Hasher::new(),
            num_read: 0,
            expected_sum,
            expected_bytes,
        };
        let mut bytes = BufReader::with_capacity(BUFFER_BYTES, checked);
        let in_array = |reason: String| invalid(format!("`{name}`: {reason}"));
        let (header, header_bytes) = header(&mut bytes).map_err(|error| in_array(error.to_string()))?;
        let (kind, length) = described(&header).map_err(in_array)?;
        let left = expected_bytes.checked_sub(header_bytes);
        if kind.size().checked_mul(length) != left {
            return Err(in_array(format!(
                "its header says {length} elements, and it has {} bytes of them",
                left.unwrap_or_default()
            )));
        }
        Ok(Array { name, length, kind, bytes })
    }

    /// Elements.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next element, a whole number.
    pub fn integer(&mut self) -> io::Result<i64> {
        match self.kind {
            Kind::Bool | Kind::U8 => Ok(self.element::<1>()?[0].into()),
            Kind::I8 => Ok(i8::from_le_bytes(self.element()?).into()),
            Kind::I16 => Ok(i16::from_le_bytes(self.element()?).into()),
            Kind::U16 => Ok(u16::from_le_bytes(self.element()?).into()),
            Kind::I32 => Ok(i32::from_le_bytes(self.element()?).into()),
            Kind::U32 => Ok(u32::from_le_bytes(self.element()?).into()),
            Kind::I64 => Ok(i64::from_le_bytes(self.element()?)),
            Kind::U64 => {
                let number = u64::from_le_bytes(self.element()?);
                number.try_into().map_err(|_| invalid(format!("`{}` has {number}", self.name)))
            }
            Kind::F16 | Kind::F32 | Kind::F64 | Kind::Text(_) => {
                Err(invalid(format!("`{}` is no array of whole numbers", self.name)))
            }
        }
    }

    /// The next element, rounded to f32.
    pub fn weight(&mut self) -> io::Result<f32> {
        match self.kind {
            Kind::F16 => Ok(f16::from_le_bytes(self.element()?).to_f32()),
            Kind::F32 => Ok(f32::from_le_bytes(self.element()?)),
            Kind::F64 => Ok(f64::from_le_bytes(self.element()?) as f32),
            _ => Ok(self.integer()? as f32),
        }
    }

    /// The text that the array is.
    pub fn text(mut self) -> io::Result<String> {
        let size = self.kind.size();
        if !matches!(self.kind, Kind::Text(_)) || self.length != 1 || size > MAX_TEXT_BYTES {
            return Err(invalid(format!("`{}` is no short text", self.name)));
        }
        let mut text = vec![0; size as usize];
        self.read(&mut text)?;
        self.finish()?;
        // numpy writes text of its own kind with four bytes a character.
        Ok(String::from_utf8_lossy(&text).replace('\0', ""))
    }

    /// Reads all of it, and checks that it is what the zip says.
    pub fn check(mut self) -> io::Result<()> {
        let most = self.bytes.get_ref().expected_bytes.saturating_add(1);
        io::copy(&mut (&mut self.bytes).take(most), &mut io::sink())
            .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", self.name)))?;
        self.finish()
    }

    /// Checks that everything was read, and that it is what the zip says.
    pub fn finish(&mut self) -> io::Result<()> {
        let is_at_end = self.bytes.fill_buf()?.is_empty();
        let read = self.bytes.get_ref();
        let (sum, expected) = (read.sum.clone().finalize(), read.expected_sum);
        if is_at_end && read.num_read == read.expected_bytes && sum == expected {
            return Ok(());
        }
        let name = self.name;
        Err(invalid(format!(
            "`{name}` is damaged: its CRC-32 is {sum:08x}, and the file says {expected:08x}"
        )))
    }

    fn element<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut element = [0; N];
        self.read(&mut element)?;
        Ok(element)
    }

    fn read(&mut self, element: &mut [u8]) -> io::Result<()> {
        self.bytes.read_exact(element).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => invalid(format!("`{}` is cut off", self.name)),
            kind => io::Error::new(kind, format!("`{}`: {error}", self.name)),
        })
    }
}

/// Bytes of an entry of a zip, with their sum so far.
struct Checked {
    bytes: Box<dyn Read + Send>,
    sum: crc32fast::Hasher,
    num_read: u64,
    expected_sum: u32,
    expected_bytes: u64,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.sum.update(&buffer[..count]);
        self.num_read += count as u64;
        Ok(count)
    }
}

/// The dictionary of an array's header, and the bytes of the whole header.
fn header(bytes: &mut impl Read) -> io::Result<(String, u64)> {
    let mut magic = [0; 8];
    bytes.read_exact(&mut magic)?;
    if magic[..6] != *b"\x93NUMPY" || !(1..=3).contains(&magic[6]) {
        return Err(invalid("not an array of numpy's".into()));
    }
    let (length, before) = if magic[6] == 1 {
        let mut length = [0; 2];
        bytes.read_exact(&mut length)?;
        (u16::from_le_bytes(length).into(), 10)
    } else {
        let mut length = [0; 4];
        bytes.read_exact(&mut length)?;
        (u32::from_le_bytes(length), 12)
    };
    if length > MAX_HEADER_BYTES {
        return Err(invalid(format!("a header of {length} bytes")));
    }
    let mut header = vec![0; length as usize];
    bytes.read_exact(&mut header)?;
    let header = String::from_utf8(header).map_err(|_| invalid("a header that is not UTF-8".into()))?;
    Ok((header, before + u64::from(length)))
}

/// What a header says of the elements, and how many there are.
fn described(header: &str) -> Result<(Kind, u64), String> {
    let field = |key: &str| {
        let rest = header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
        rest.ok_or_else(|| format!("no `{key}` in its header"))
    };
    let kind = field("descr")?.trim_start_matches('\'').split('\'').next().unwrap_or_default();
    if kind.starts_with('>') {
        return Err("it is big-endian".into());
    }
    let known = Kind::named(kind.trim_start_matches(['<', '|', '=']));
    let known = known.ok_or_else(|| format!("elements of the type `{kind}`, expected numbers"))?;
    let shape = field("shape")?.trim_start_matches('(').split(')').next().unwrap_or_default();
    let length = match shape.trim_end_matches(',').trim() {
        "" => 1,
        one => one.parse().map_err(|_| format!("the shape ({shape}), not one dimension"))?,
    };
    Ok((known, length))
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, one_line(&reason).into_owned())
}
