//! What the fuzz targets of this crate assert; the corpora are replayed by tests.

mod reports;

pub use reports::{dsn, report, results};

use crate::{
    AddrSpec, Address, AddressList, Date, Field, FieldSpan, Group, Header, HeaderLimits, HeaderScan, MessageId,
    NameAddr, ReceivedClauses, ReturnPath, UnfoldedField, unfold,
};

/// Every split of a message gives the same result, and the fields are the octets of the section.
/// The first octet says where to split.
pub fn header(data: &[u8]) {
    let Some((&seed, message)) = data.split_first() else {
        return;
    };
    let limits = HeaderLimits { octets: 200, fields: 8, hops: 2 };
    let (whole, spans) = scan(message, message.len().max(1), limits);
    assert!(whole.hops() <= whole.fields());
    assert_eq!(whole.fields(), spans.len() as u64);
    for step in [1, 2 + usize::from(seed)] {
        let (split, found) = scan(message, step, limits);
        let view = |scan: &HeaderScan| {
            let from = scan.count("From");
            (scan.octets(), scan.fields(), scan.hops(), from, scan.malformed(), scan.over())
        };
        assert_eq!(view(&split), view(&whole));
        assert_eq!(found, spans);
    }
    let Ok(header) = Header::parse(message, limits) else {
        assert!(whole.over().is_some());
        return;
    };
    assert_eq!((whole.over(), whole.malformed()), (None, header.malformed()));
    assert_eq!(header.octets().len() as u64, whole.octets());
    let fields: Vec<Field<'_>> = header.fields().collect();
    let spanned: Vec<Field<'_>> = spans.iter().filter_map(|span| span.field(message)).collect();
    assert_eq!(fields, spanned);
    let mut from_below: Vec<Field<'_>> = header.fields().rev().collect();
    from_below.reverse();
    assert_eq!(fields, from_below);
    assert_eq!(header.octets()[header.span()], fields.iter().map(Field::octets).collect::<Vec<_>>().concat());
    for field in fields {
        // Unfolding takes only CR LF out, and what it leaves is not folded.
        let value = field.value();
        assert_eq!(*unfold(&value), *value);
        let visible = |text: &[u8]| text.iter().filter(|octet| !octet.is_ascii_whitespace()).count();
        assert_eq!(visible(&value), visible(field.raw_value()));
        assert!(field.is(std::str::from_utf8(field.name()).unwrap_or("")) || !field.name().is_ascii());
    }
}

fn scan(message: &[u8], step: usize, limits: HeaderLimits) -> (HeaderScan, Vec<FieldSpan>) {
    let mut scan = HeaderScan::new(limits);
    let mut spans = Vec::new();
    let mut used = 0;
    for piece in message.chunks(step) {
        used += scan.push_each(piece, |span| spans.push(span));
    }
    assert_eq!(scan.octets(), used as u64);
    assert!(scan.is_done() || used == message.len());
    spans.extend(scan.finish());
    (scan, spans)
}

/// A date that is read is printed so that it reads the same.
pub fn date(data: &[u8]) {
    match Date::parse(data) {
        Ok(date) => assert_eq!(date.to_string().parse(), Ok(date)),
        Err(error) => assert!(error.at <= data.len()),
    }
}

/// Addresses that are read are printed so that they read the same.
pub fn addresses(data: &[u8]) {
    if let Ok(address) = AddrSpec::parse(data) {
        let list = AddressList::parse(data).expect("one address is a list");
        assert_eq!(list.addresses(), [Address::Mailbox(address.into())]);
    }
    match AddressList::parse(data) {
        Ok(list) => {
            assert!(list.ambiguity().is_none() || list.author_domain().is_err());
            print_addresses(&list);
        }
        Err(error) => assert!(error.at <= data.len()),
    }
}

/// Addresses that are put together, one a line, are printed so that they read the same. A line
/// is a name, a tab and an address; a name that ends with a colon begins a group.
pub fn addresses_printed(data: &[u8]) {
    let mut addresses: Vec<Address<'_>> = Vec::new();
    for line in data.split(|&octet| octet == b'\n') {
        let at = line.iter().position(|&octet| octet == b'\t');
        let (name, address) = line.split_at(at.unwrap_or(0));
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let address = AddrSpec::parse(address);
        match (name.strip_suffix(':'), address) {
            (Some(name), address) => {
                let members = address.map(|address| vec![address.clone().into(), address.into()]);
                addresses.extend(Group::new(name, members.unwrap_or_default()).map(Address::Group));
            }
            (None, Ok(address)) if at.is_some() => {
                addresses.extend(NameAddr::new(name, address).map(Address::Mailbox));
            }
            (None, Ok(address)) => addresses.push(Address::Mailbox(address.into())),
            (None, Err(error)) => assert!(error.at <= line.len()),
        }
    }
    print_addresses(&AddressList::from(addresses));
}

fn print_addresses(list: &AddressList<'_>) {
    let printed = list.to_string();
    assert!(!printed.contains(['\r', '\n', '\0']), "{printed:?}");
    let again = AddressList::parse(printed.as_bytes()).unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again.addresses(), list.addresses());
    assert_eq!(again.to_string(), printed);
    for mailbox in list.mailboxes() {
        // What SMTP can say too means the same.
        if let Ok(smtp) = mailbox.address().mailbox() {
            assert_eq!(&AddrSpec::from(&smtp), &AddrSpec::parse(smtp.to_string().as_bytes()).expect("printed"));
        }
    }
    let Ok(field) = UnfoldedField::new("To", &printed) else { return };
    let folded = field.to_string();
    let header = Header::parse(folded.as_bytes(), HeaderLimits { octets: u64::MAX, ..HeaderLimits::default() });
    let value = header.expect("one field").only("to").expect("one field").raw_value();
    assert_eq!(AddressList::parse(value).expect("folding changes nothing").addresses(), list.addresses());
}

/// Identifiers that are read are printed so that they read the same.
pub fn ids(data: &[u8]) {
    let mut ids = Vec::new();
    for id in MessageId::list(data) {
        match id {
            Ok(id) => ids.push(id),
            Err(error) => assert!(error.at <= data.len()),
        }
    }
    let printed: Vec<String> = ids.iter().map(MessageId::to_string).collect();
    let printed = printed.join(" ");
    assert!(!printed.contains(['\r', '\n', '\0']), "{printed:?}");
    let again: Result<Vec<_>, _> = MessageId::list(printed.as_bytes()).collect();
    assert_eq!(again.as_ref(), Ok(&ids));
    match MessageId::parse(data) {
        Ok(id) => assert_eq!(ids, [id]),
        Err(error) => assert!(error.at <= data.len()),
    }
    if let Ok(id) = std::str::from_utf8(data).map_err(|_| ()).and_then(|text| MessageId::new(text).map_err(|_| ())) {
        assert_eq!(MessageId::parse(id.to_string().as_bytes()), Ok(id.clone()));
    }
}

/// The clauses of a `Received` field read the same when they are put together again; so does a
/// `Return-Path`.
pub fn received(data: &[u8]) {
    match ReturnPath::parse(data) {
        Ok(path) => assert_eq!(ReturnPath::parse(path.to_string().as_bytes()), Ok(path)),
        Err(error) => assert!(error.at <= data.len()),
    }
    let clauses = match ReceivedClauses::parse(data) {
        Ok(clauses) => clauses,
        Err(error) => return assert!(error.at <= data.len()),
    };
    let ReceivedClauses { from, from_info, by, via, with, id, recipient, date } = &clauses;
    let mut text = String::new();
    for (keyword, value) in [("from", from), ("by", by), ("via", via), ("with", with), ("id", id), ("for", recipient)] {
        text.extend(value.map(|value| format!("{keyword} <{value}> ")));
        let info = from_info.as_ref().filter(|_| keyword == "from");
        text.extend(info.map(|info| format!("({info}) ")));
    }
    text.extend(date.map(|date| format!("; {date}")));
    assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
    assert_eq!(ReceivedClauses::parse(text.as_bytes()), Ok(clauses.clone()));
}

/// A field that is made, of a name, a colon and a value, is one field with lines that may be sent,
/// and unfolds to the same value.
pub fn unfolded(data: &[u8]) {
    let Some((name, value)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once(':')) else {
        return;
    };
    let field = match UnfoldedField::new(name, value) {
        Ok(field) => field,
        Err(error) => return assert!(error.at <= name.len().max(value.len())),
    };
    let printed = field.to_string();
    let lines: Vec<&str> = printed.strip_suffix("\r\n").expect("the last line ends").split("\r\n").collect();
    for (index, line) in lines.iter().enumerate() {
        assert!(!line.trim().is_empty() && line.len() <= 998 && !line.contains(['\r', '\n', '\0']), "{line:?}");
        assert_eq!(line.starts_with([' ', '\t']), index > 0, "{line:?}");
        // Longer than recommended are only words, and the name with the first word.
        let words = line.trim_start_matches([' ', '\t']).contains([' ', '\t']);
        assert!(line.len() <= 78 || index == 0 || !words || line.contains('"'), "{line:?}");
    }
    let limits = HeaderLimits { octets: u64::MAX, ..HeaderLimits::default() };
    let header = Header::parse(printed.as_bytes(), limits).expect("one field");
    assert_eq!((header.fields().count(), header.malformed()), (1, None));
    let read = header.only(name).expect("the name stays");
    assert_eq!(*read.value(), *field.value().as_bytes());
    assert_eq!(UnfoldedField::new(name, field.value()), Ok(field));
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    fn replay(target: &str, function: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files: Vec<_> = fs::read_dir(&corpus)
            .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!files.is_empty(), "{} is empty", corpus.display());
        for file in files {
            function(&fs::read(file).unwrap());
        }
    }

    #[test]
    fn corpus_of_message_header() {
        replay("message_header", super::header);
    }

    #[test]
    fn corpus_of_message_date() {
        replay("message_date", super::date);
    }

    #[test]
    fn corpus_of_message_addresses() {
        replay("message_addresses", super::addresses);
    }

    #[test]
    fn corpus_of_message_addresses_printed() {
        replay("message_addresses_printed", super::addresses_printed);
    }

    #[test]
    fn corpus_of_message_ids() {
        replay("message_ids", super::ids);
    }

    #[test]
    fn corpus_of_message_received() {
        replay("message_received", super::received);
    }

    #[test]
    fn corpus_of_message_unfolded() {
        replay("message_unfolded", super::unfolded);
    }

    #[test]
    fn corpus_of_message_results() {
        replay("message_results", super::results);
    }

    #[test]
    fn corpus_of_message_dsn() {
        replay("message_dsn", super::dsn);
    }

    #[test]
    fn corpus_of_message_report() {
        replay("message_report", super::report);
    }
}
