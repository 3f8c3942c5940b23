//! Reports of others: XML within bounds, of RFC 9990 and of RFC 7489.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::Report;

mod draft;

use draft::Draft;

/// How large a report of others may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportLimits {
    /// Octets of XML, as it is after decompression; default 64 MiB.
    pub octets: u64,
    /// Rows; default 100,000.
    pub rows: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self { octets: 64 << 20, rows: 100_000 }
    }
}

/// Why a file is not a report that can be read. Positions count octets of the XML from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is a ZIP archive.
    #[error("a ZIP archive; unpack it first")]
    Zip,
    /// It begins like GZIP and goes on like something else, or ends too early.
    #[error("the GZIP compression is broken")]
    Gzip,
    /// There is more XML than allowed.
    #[error("the report is larger than {0} octets")]
    TooLarge(u64),
    /// It is not well-formed XML, or not UTF-8.
    #[error("the XML is broken at octet {0}")]
    Xml(u64),
    /// Elements are nested more than 32 deep.
    #[error("elements are nested too deeply at octet {0}")]
    TooDeep(u64),
    /// There are more rows than allowed, or more than 100 parts of one kind in one of them.
    #[error("there are too many of <{0}>")]
    TooMany(&'static str),
    /// The outermost element is not `feedback`, or there is none, or a second.
    #[error("not one <feedback>")]
    NotReport,
    /// The file ends within an element.
    #[error("the file ends within an element")]
    Unclosed,
    /// An element that is required is missing.
    #[error("<{0}> is missing")]
    Missing(&'static str),
    /// The text of an element is not of its form.
    #[error("the text of <{element}> at octet {at} is none of its values")]
    Value {
        /// The element.
        element: &'static str,
        /// Where it ends.
        at: u64,
    },
}

impl Report {
    /// Reads a report: XML, or XML compressed by GZIP.
    ///
    /// Words are read in any case, older ones too (`hardfail`, `unknown`, `error`); an unknown
    /// reason is `other`; unknown elements and extensions are skipped. No entity is expanded but
    /// the five of XML.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn read(file: &[u8], limits: &ReportLimits) -> Result<Self, ReportError> {
        match file {
            [0x1f, 0x8b, ..] => read(MultiGzDecoder::new(file), limits, ReportError::Gzip),
            [b'P', b'K', ..] => Err(ReportError::Zip),
            _ => read(file, limits, ReportError::Xml(0)),
        }
    }
}

/// A source that ends with an error where it is too long.
struct Bounded<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(into)?;
        self.left = self.left.checked_sub(length as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(length)
    }
}

fn read(source: impl Read, limits: &ReportLimits, broken: ReportError) -> Result<Report, ReportError> {
    let source = BufReader::new(Bounded { source, left: limits.octets });
    let mut reader = Reader::from_reader(source);
    reader.config_mut().expand_empty_elements = true;
    let mut draft = Draft::new(limits.rows);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = read_event(&mut reader, &mut buffer, limits, &broken)?;
        let at = reader.buffer_position();
        match event {
            Event::Start(start) => draft.start(start.name(), at)?,
            Event::End(_) => draft.end(at)?,
            Event::Text(text) => draft.text(&text.xml10_content()),
            Event::CData(text) => draft.text(&text.xml10_content()),
            Event::GeneralRef(reference) => draft.text(character(&reference, at)?.encode_utf8(&mut [0; 4])),
            Event::Eof => return draft.finish(),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn read_event<'b>(
    reader: &mut Reader<impl BufRead>,
    buffer: &'b mut Vec<u8>,
    limits: &ReportLimits,
    broken: &ReportError,
) -> Result<Event<'b>, ReportError> {
    reader.read_event_into(buffer).map_err(|error| match error {
        quick_xml::Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            ReportError::TooLarge(limits.octets)
        }
        quick_xml::Error::Io(_) => broken.clone(),
        _ => ReportError::Xml(reader.error_position()),
    })
}

/// What a reference stands for; there are no entities but the five of XML.
fn character(reference: &BytesRef<'_>, at: u64) -> Result<char, ReportError> {
    let broken = || ReportError::Xml(at);
    if let Some(c) = reference.resolve_char_ref().map_err(|_| broken())? {
        return Ok(c);
    }
    match &*reference.xml10_content() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(broken()),
    }
}
