//! Reports that are read and written.

use std::io::Write as _;
use std::net::IpAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::dmarc::OverrideReason;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

/// The shortest report: what the parameters put into it stands in one place each.
fn sample(metadata: &str, published: &str, rows: &str) -> String {
    format!(
        "<feedback><report_metadata><org_name>o</org_name><email>e</email><report_id>1</report_id>\
         <date_range><begin>1</begin><end>2</end></date_range>{metadata}</report_metadata>\
         <policy_published><domain>example.com</domain><p>none</p>{published}</policy_published>{rows}</feedback>"
    )
}

/// A row with an address, a count, and what else it says.
fn sample_row(evaluated: &str, results: &str) -> String {
    format!(
        "<record><row><source_ip>192.0.2.1</source_ip><count>1</count><policy_evaluated>\
         <disposition>none</disposition>{evaluated}</policy_evaluated></row>\
         <identifiers><header_from>example.com</header_from></identifiers>\
         <auth_results>{results}</auth_results></record>"
    )
}

/// A report in the form of RFC 9990, Appendix B.
const MODERN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0" xmlns:ext="urn:example:ext">
  <version>1.0</version>
  <report_metadata>
    <org_name>Sample Reporter</org_name>
    <email>report_sender@example-reporter.com</email>
    <extra_contact_info>...</extra_contact_info>
    <report_id>3v98abbp8ya9n3va8yr8oa3ya</report_id>
    <date_range><begin>1732665600</begin><end>1732751999</end></date_range>
    <generator>Reporter 1.2 &amp; more</generator>
  </report_metadata>
  <policy_published>
    <domain>example.com</domain>
    <discovery_method>treewalk</discovery_method>
    <p>quarantine</p>
    <sp>none</sp>
    <np>reject</np>
    <testing>y</testing>
  </policy_published>
  <extension><ext:arc-override>never</ext:arc-override></extension>
  <record>
    <row>
      <source_ip>2001:db8::1</source_ip>
      <count>123</count>
      <policy_evaluated>
        <disposition>pass</disposition>
        <dkim>pass</dkim>
        <spf>fail</spf>
        <reason><type>policy_test_mode</type></reason>
        <reason><type>other</type><comment>a &lt;b&gt; <![CDATA[& c]]>&#x21;</comment></reason>
      </policy_evaluated>
    </row>
    <identifiers>
      <envelope_from/>
      <header_from>example.com</header_from>
    </identifiers>
    <auth_results>
      <dkim><domain>example.com</domain><selector>abc123</selector><result>pass</result></dkim>
      <spf><domain>example.com</domain><scope>mfrom</scope><result>fail</result></spf>
    </auth_results>
    <ext:dkim><ext:domain>not ours</ext:domain></ext:dkim>
  </record>
</feedback>
"#;

/// One in the form of RFC 7489, as it is sent.
const OLDER: &str = r"<?xml version='1.0'?>
<!DOCTYPE feedback>
<feedback>
  <report_metadata>
    <org_name>older.example</org_name><email>noreply@older.example</email>
    <report_id>77</report_id>
    <date_range><begin> 1500000000 </begin><end>1500086400</end></date_range>
  </report_metadata>
  <policy_published>
    <domain>example.org</domain><adkim>r</adkim><aspf>S</aspf><p>Reject</p><sp></sp><pct>100</pct><fo>1:d</fo>
  </policy_published>
  <record>
    <row><source_ip>192.0.2.7</source_ip><count>2</count>
      <policy_evaluated><disposition>Reject</disposition><dkim>Fail</dkim><spf>PASS</spf>
        <reason><type>sampled_out</type><comment/></reason><reason><type>something new</type></reason>
      </policy_evaluated></row>
    <identifiers><envelope_to>to.example</envelope_to><header_from>example.org</header_from></identifiers>
    <auth_results>
      <dkim><domain>example.org</domain><result>temperror</result><human_result>no key</human_result></dkim>
      <spf><domain>helo.example</domain><scope>helo</scope><result>unknown</result></spf>
      <spf><domain>example.org</domain><result>hardfail</result></spf>
      <spf><domain>example.org</domain><result>error</result></spf>
    </auth_results>
  </record>
</feedback>";

#[test]
fn a_report_of_today_is_read() {
    let report = read_xml(MODERN).unwrap();
    let metadata = &report.metadata;
    assert_eq!(
        (metadata.org_name.as_str(), metadata.email.as_str()),
        ("Sample Reporter", "report_sender@example-reporter.com")
    );
    assert_eq!(metadata.extra_contact_info.as_deref(), Some("..."));
    assert_eq!(metadata.generator.as_deref(), Some("Reporter 1.2 & more"));
    assert_eq!(metadata.begin, Timestamp::from_millis(1_732_665_600_000));
    assert_eq!(metadata.end, Timestamp::from_millis(1_732_751_999_000));
    let published = &report.published;
    assert_eq!(
        (published.p, published.sp, published.np),
        (Policy::Quarantine, Some(Policy::None), Some(Policy::Reject))
    );
    assert_eq!((published.discovery_method, published.testing), (Some(DiscoveryMethod::TreeWalk), true));
    assert_eq!((published.adkim, published.fo), (None, None));
    let [row] = &report.rows[..] else { panic!("{} rows", report.rows.len()) };
    assert_eq!((row.source_ip, row.count), ("2001:db8::1".parse::<IpAddr>().unwrap(), 123));
    assert_eq!((row.disposition, row.dkim_aligned, row.spf_aligned), (Disposition::Pass, true, false));
    assert_eq!(
        row.reasons,
        [
            Override { reason: OverrideReason::PolicyTestMode, comment: None },
            Override { reason: OverrideReason::Other, comment: Some("a <b> & c!".to_owned()) },
        ]
    );
    assert_eq!((row.header_from.as_str(), row.envelope_from.as_deref()), ("example.com", Some("")));
    assert_eq!(row.dkim.len(), 1);
    assert_eq!((row.dkim[0].selector.as_deref(), row.dkim[0].result), (Some("abc123"), results::Dkim::Pass));
    assert_eq!((row.spf[0].scope, row.spf[0].result), (Some(SpfScope::MailFrom), results::Spf::Fail));
    assert_eq!(read_xml(&report.to_xml()), Ok(report));
}

#[test]
fn an_older_report_is_read() {
    let report = read_xml(OLDER).unwrap();
    assert_eq!((report.published.p, report.published.sp), (Policy::Reject, None));
    assert_eq!((report.published.adkim, report.published.aspf), (Some(Alignment::Relaxed), Some(Alignment::Strict)));
    assert_eq!(report.published.fo, Some(FailureOptions { any: true, dkim: true, spf: false }));
    assert!(!report.published.testing);
    let row = &report.rows[0];
    assert_eq!((row.disposition, row.dkim_aligned, row.spf_aligned), (Disposition::Reject, false, true));
    assert_eq!(
        row.reasons.iter().map(|one| one.reason).collect::<Vec<_>>(),
        [OverrideReason::SampledOut, OverrideReason::Other]
    );
    assert_eq!((row.envelope_from.as_deref(), row.envelope_to.as_deref()), (None, Some("to.example")));
    assert_eq!((row.dkim[0].selector.as_deref(), row.dkim[0].human_result.as_deref()), (None, Some("no key")));
    let results: Vec<_> = row.spf.iter().map(|one| (one.scope, one.result)).collect();
    assert_eq!(
        results,
        [(Some(SpfScope::Helo), results::Spf::TempError), (None, results::Spf::Fail), (None, results::Spf::PermError)]
    );
    assert_eq!(read_xml(&report.to_xml()), Ok(report));
}

/// RFC 9990 §5: names with another prefix than that of the document are those of extensions,
/// also where they sound alike.
#[test]
fn extensions_are_skipped() {
    let plain = sample("", "", &sample_row("", ""));
    let extended = plain
        .replace(
            "</feedback>",
            "<x:record/><x:policy_published><x:domain>evil</x:domain></x:policy_published></feedback>",
        )
        .replace("</row>", "<x:count>9</x:count><more><count>9</count></more></row>");
    assert_eq!(read_xml(&extended), read_xml(&plain));
    let prefixed = plain.replace("</", "</d:").replace('<', "<d:").replace("<d:/d:", "</d:");
    assert_eq!(read_xml(&prefixed), read_xml(&plain));
    assert_eq!(read_xml(&prefixed).unwrap().rows.len(), 1);
    assert_eq!(read_xml(&prefixed.replace("d:count", "count")), Err(ReportError::Missing("count")));
}

#[test]
fn what_is_no_report() {
    let value = |element, text: &str| {
        let error = read_xml(text).unwrap_err();
        assert!(matches!(error, ReportError::Value { element: e, .. } if e == element), "{error}: {text}");
    };
    for (text, error) in [
        ("", ReportError::NotReport),
        ("hello", ReportError::NotReport),
        ("<html></html>", ReportError::NotReport),
        ("<feedback></feedback>", ReportError::Missing("report_id")),
        ("<feedback>", ReportError::Unclosed),
        ("<feedback><record>", ReportError::Unclosed),
        ("<feedback/><feedback/>", ReportError::NotReport),
        ("PK\u{3}\u{4}", ReportError::Zip),
    ] {
        assert_eq!(read_xml(text), Err(error), "{text}");
    }
    for text in [
        "<feedback></feedbock>",
        "<feedback",
        "</feedback>",
        "<feedback>&bomb;</feedback>",
        "<feedback>&#0;</feedback>",
        "<feedback><a></feedback></a>",
    ] {
        assert!(matches!(read_xml(text), Err(ReportError::Xml(_))), "{text}: {:?}", read_xml(text));
    }
    assert!(matches!(Report::read(b"<feedback>\xff</feedback>", &ReportLimits::default()), Err(ReportError::Xml(_))));
    assert_eq!(read_xml(&sample("", "", "")).map(|report| report.rows.len()), Ok(0));

    value("begin", &sample("<date_range><begin>-1</begin></date_range>", "", ""));
    value("end", &sample("<date_range><end>9223372036854775807</end></date_range>", "", ""));
    value("p", &sample("", "<p>monitor</p>", ""));
    value("disposition", &sample("", "", &sample_row("<disposition>drop</disposition>", "")));
    value("result", &sample("", "", &sample_row("", "<dkim><domain>d</domain><result>hm</result></dkim>")));
    value("result", &sample("", "", &sample_row("", "<spf><domain>d</domain><result></result></spf>")));
    for (what, error) in [
        ("<source_ip>1.2.3</source_ip>", "source_ip"),
        ("<count>many</count>", "count"),
        ("<count>-1</count>", "count"),
        ("<count>18446744073709551616</count>", "count"),
    ] {
        value(error, &sample("", "", &format!("<record><row>{what}</row></record>")));
    }
    let row = sample_row("", "");
    for (without, error) in [
        ("<source_ip>192.0.2.1</source_ip>", "source_ip"),
        ("<count>1</count>", "count"),
        ("<disposition>none</disposition>", "disposition"),
        ("<header_from>example.com</header_from>", "header_from"),
    ] {
        let row = row.replace(without, "");
        assert_eq!(read_xml(&sample("", "", &row)), Err(ReportError::Missing(error)));
    }
    for part in ["<domain>d</domain>", "<result>pass</result>"] {
        let missing = if part.contains("domain") { "result" } else { "domain" };
        for kind in ["dkim", "spf"] {
            let row = sample_row("", &format!("<{kind}>{part}</{kind}>"));
            assert_eq!(read_xml(&sample("", "", &row)), Err(ReportError::Missing(missing)));
        }
    }
    let row = sample_row("<reason><comment>c</comment></reason>", "");
    assert_eq!(read_xml(&sample("", "", &row)), Err(ReportError::Missing("type")));
}

/// RFC 9990 §8.1: archives and documents that are made to exhaust their reader.
#[test]
fn bombs_stop_at_the_bounds() {
    let limits = ReportLimits { octets: 1 << 20, rows: 3 };
    let blanks = format!("<feedback>{}</feedback>", " ".repeat(8 << 20));
    let bomb = gzip(blanks.as_bytes());
    assert!(bomb.len() < 16 << 10);
    assert_eq!(Report::read(&bomb, &limits), Err(ReportError::TooLarge(1 << 20)));
    assert_eq!(Report::read(blanks.as_bytes(), &limits), Err(ReportError::TooLarge(1 << 20)));

    let exact = sample("", "", "");
    let all = ReportLimits { octets: exact.len() as u64, rows: 3 };
    assert!(Report::read(exact.as_bytes(), &all).is_ok());
    let less = ReportLimits { octets: exact.len() as u64 - 1, rows: 3 };
    assert_eq!(Report::read(exact.as_bytes(), &less), Err(ReportError::TooLarge(less.octets)));

    let rows = |count: usize| sample("", "", &sample_row("", "").repeat(count));
    assert_eq!(Report::read(rows(3).as_bytes(), &limits).map(|report| report.rows.len()), Ok(3));
    assert_eq!(Report::read(rows(4).as_bytes(), &limits), Err(ReportError::TooMany("record")));

    for (kind, part) in [
        ("dkim", "<dkim><domain>d</domain><result>pass</result></dkim>"),
        ("spf", "<spf><domain>d</domain><result>pass</result></spf>"),
    ] {
        assert!(read_xml(&sample("", "", &sample_row("", &part.repeat(100)))).is_ok());
        let more = sample("", "", &sample_row("", &part.repeat(101)));
        assert_eq!(read_xml(&more), Err(ReportError::TooMany(kind)));
    }
    let reasons = "<reason><type>other</type></reason>".repeat(101);
    assert_eq!(read_xml(&sample("", "", &sample_row(&reasons, ""))), Err(ReportError::TooMany("reason")));
    let errors = "<error>e</error>".repeat(101);
    assert_eq!(read_xml(&sample(&errors, "", "")).unwrap().metadata.errors.len(), 100);

    let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(read_xml(&sample("", "", &deep(31))).is_ok());
    assert!(matches!(read_xml(&sample("", "", &deep(32))), Err(ReportError::TooDeep(_))));

    let laughs =
        "<!DOCTYPE feedback [<!ENTITY a \"&b;&b;\"><!ENTITY b \"ha\">]><feedback><version>&a;</version></feedback>";
    assert!(matches!(read_xml(laughs), Err(ReportError::Xml(_))));

    let long = sample(&format!("<generator>{}</generator>", "ä".repeat(700)), "", "");
    assert_eq!(read_xml(&long).unwrap().metadata.generator, Some("ä".repeat(512)));
    let longer = sample(&format!("<generator>x<!-- -->{}</generator>", "y".repeat(1 << 20)), "", "");
    assert_eq!(read_xml(&longer).unwrap().metadata.generator.as_deref(), Some("x"));
}

#[test]
fn gzip_and_its_faults() {
    let report = read_xml(MODERN).unwrap();
    let packed = report.to_gzip();
    assert_eq!(Report::read(&packed, &ReportLimits::default()), Ok(report.clone()));
    assert_eq!(packed, report.to_gzip(), "no clock");
    assert_eq!(packed[4..8], [0; 4], "no time");
    let half = &packed[..packed.len() / 2];
    assert_eq!(Report::read(half, &ReportLimits::default()), Err(ReportError::Gzip));
    let mut wrong = packed.clone();
    let crc = wrong.len() - 8;
    wrong[crc] ^= 1;
    assert_eq!(Report::read(&wrong, &ReportLimits::default()), Err(ReportError::Gzip));
    let split = [gzip(&MODERN.as_bytes()[..100]), gzip(&MODERN.as_bytes()[100..])].concat();
    assert_eq!(Report::read(&split, &ReportLimits::default()), Ok(report));
}

/// What a peer has chosen, a domain, stays a text: no element, no path, no second line.
#[test]
fn names_of_strangers_do_no_harm() {
    let mut report = read_xml(MODERN).unwrap();
    report.published.domain = "../a/b!c\r\nX: y</domain><p>".to_owned();
    report.metadata.report_id = "<a..b c@d>e@f>\r\nX".to_owned();
    let xml = report.to_xml();
    assert!(xml.contains("<domain>../a/b!c  X: y&lt;/domain&gt;&lt;p&gt;</domain>"), "{xml}");
    assert_eq!(read_xml(&xml).unwrap().published.domain, "../a/b!c  X: y</domain><p>");
    // What XML cannot hold at all (XML 1.0 §2.2).
    assert_eq!(clean(" \t a\u{0}\u{fffe}b\u{ffff}\u{85}"), "a \u{fffd}b\u{fffd}");
    let receiver = name("mail.receiver.example");
    assert_eq!(
        report.file_name(&receiver, Some("a-1/é")),
        "mail.receiver.example!..-a-b-c--X--y--domain--p-!1732665600!1732751999!a1.xml.gz"
    );
    assert_eq!(
        report.subject(&receiver),
        "Report Domain: ..-a-b-c--X--y--domain--p- Submitter: mail.receiver.example Report-ID: <a.b-c@d-e-f---X>"
    );
    report.published.domain = "example.com".to_owned();
    report.metadata.report_id = "1@x".to_owned();
    assert_eq!(report.file_name(&receiver, None), "mail.receiver.example!example.com!1732665600!1732751999.xml.gz");
    assert!(report.subject(&receiver).ends_with("Report-ID: <1@x>"));
    report.metadata.report_id = "..".to_owned();
    assert!(report.subject(&receiver).ends_with("Report-ID: <->"));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z.@]{1,12}", any::<String>()]
}

fn report() -> impl Strategy<Value = Report> {
    let policy = || prop_oneof![Just(Policy::None), Just(Policy::Quarantine), Just(Policy::Reject)];
    let alignment = || proptest::option::of(prop_oneof![Just(Alignment::Relaxed), Just(Alignment::Strict)]);
    let options =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(any, dkim, spf)| FailureOptions { any, dkim, spf });
    let metadata = (
        text(),
        text(),
        proptest::option::of(text()),
        text(),
        0..i64::MAX / 1000,
        0..i64::MAX / 1000,
        proptest::collection::vec(text(), 0..3),
    )
        .prop_map(|(org_name, email, info, id, begin, end, errors)| Metadata {
            org_name,
            email,
            extra_contact_info: info.clone(),
            report_id: format!("1{id}"),
            begin: Timestamp::from_millis(begin * 1000),
            end: Timestamp::from_millis(end * 1000),
            errors,
            generator: info,
        });
    let published = (
        text(),
        policy(),
        proptest::option::of(policy()),
        alignment(),
        alignment(),
        proptest::option::of(options),
        any::<bool>(),
    )
        .prop_map(|(domain, p, sp, adkim, aspf, fo, testing)| PolicyPublished {
            domain: format!("d{domain}"),
            discovery_method: Some(DiscoveryMethod::Psl),
            p,
            sp,
            np: sp,
            adkim,
            aspf,
            fo,
            testing,
        });
    let reason = (proptest::sample::select(&OverrideReason::ALL[..]), proptest::option::of(text()))
        .prop_map(|(reason, comment)| Override { reason, comment });
    let dkim = (text(), proptest::option::of(text()), proptest::sample::select(results::Dkim::ALL)).prop_map(
        |(domain, selector, result)| DkimResult { domain, selector: selector.clone(), result, human_result: selector },
    );
    let spf = (text(), proptest::sample::select(results::Spf::ALL)).prop_map(|(domain, result)| SpfResult {
        domain,
        scope: Some(SpfScope::MailFrom),
        result,
        human_result: None,
    });
    let row = (
        any::<IpAddr>(),
        any::<u64>(),
        proptest::sample::select(&Disposition::ALL[..]),
        any::<(bool, bool)>(),
        proptest::collection::vec(reason, 0..3),
        text(),
        proptest::option::of(text()),
        proptest::collection::vec(dkim, 0..3),
        proptest::collection::vec(spf, 0..2),
    )
        .prop_map(
            |(source_ip, count, disposition, (dkim_aligned, spf_aligned), reasons, from, envelope, dkim, spf)| Row {
                source_ip,
                count,
                disposition,
                dkim_aligned,
                spf_aligned,
                reasons,
                header_from: format!("f{from}"),
                envelope_from: envelope.clone(),
                envelope_to: envelope,
                dkim,
                spf,
            },
        );
    (metadata, published, proptest::collection::vec(row, 0..4)).prop_map(|(metadata, published, rows)| Report {
        metadata,
        published,
        rows,
    })
}

proptest! {
    /// What is written is read, and then again the same; only texts are cleaned on the way.
    #[test]
    fn reports_survive_a_round_trip(report in report()) {
        let once = read_xml(&report.to_xml()).unwrap();
        prop_assert_eq!(&Report::read(&once.to_gzip(), &ReportLimits::default()).unwrap(), &once);
        prop_assert_eq!(once.rows.len(), report.rows.len());
        for (read, written) in once.rows.iter().zip(&report.rows) {
            let numbers = |row: &Row| (row.source_ip, row.count, row.disposition, row.dkim_aligned, row.spf_aligned, row.reasons.len(), row.dkim.len(), row.spf.len());
            prop_assert_eq!(numbers(read), numbers(written));
            prop_assert_eq!(&read.header_from, &clean(&written.header_from));
        }
        prop_assert_eq!(once.metadata.begin, report.metadata.begin);
    }
}
