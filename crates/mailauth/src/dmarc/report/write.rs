//! Reports as XML (RFC 9990 §3.1.1, Appendix A).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use quick_xml::escape::partial_escape;

use super::{DkimResult, Report, Row, SpfResult, clean, seconds};

impl Report {
    /// The XML document, in UTF-8.
    ///
    /// Control characters in texts become spaces, and long texts are cut: no name that a peer
    /// chose can make the document another one.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = Document { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), depth: 0 };
        out.begin("feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"");
        out.leaf("version", "1.0");
        self.metadata(&mut out);
        self.published(&mut out);
        for row in &self.rows {
            record(&mut out, row);
        }
        out.end("feedback");
        out.text
    }

    /// The same, compressed by GZIP (RFC 1952), which names neither a time nor a file.
    #[must_use]
    pub fn to_gzip(&self) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        let written = out.write_all(self.to_xml().as_bytes()).and_then(|()| out.finish());
        written.expect("writing to memory does not fail")
    }

    fn metadata(&self, out: &mut Document) {
        let metadata = &self.metadata;
        out.begin("report_metadata");
        out.leaf("org_name", &metadata.org_name);
        out.leaf("email", &metadata.email);
        out.maybe("extra_contact_info", metadata.extra_contact_info.as_deref());
        out.leaf("report_id", &metadata.report_id);
        out.begin("date_range");
        out.leaf("begin", &seconds(metadata.begin).to_string());
        out.leaf("end", &seconds(metadata.end).to_string());
        out.end("date_range");
        for error in &metadata.errors {
            out.leaf("error", error);
        }
        out.maybe("generator", metadata.generator.as_deref());
        out.end("report_metadata");
    }

    fn published(&self, out: &mut Document) {
        let published = &self.published;
        out.begin("policy_published");
        out.leaf("domain", &published.domain);
        out.maybe("discovery_method", published.discovery_method.map(super::DiscoveryMethod::as_str));
        out.leaf("p", published.p.as_str());
        out.maybe("sp", published.sp.map(super::Policy::as_str));
        out.maybe("np", published.np.map(super::Policy::as_str));
        out.maybe("adkim", published.adkim.map(super::Alignment::as_str));
        out.maybe("aspf", published.aspf.map(super::Alignment::as_str));
        out.maybe("fo", published.fo.map(|options| options.to_string()).as_deref());
        out.leaf("testing", if published.testing { "y" } else { "n" });
        out.end("policy_published");
    }
}

fn record(out: &mut Document, row: &Row) {
    let aligned = |aligned| if aligned { "pass" } else { "fail" };
    out.begin("record");
    out.begin("row");
    out.leaf("source_ip", &row.source_ip.to_string());
    out.leaf("count", &row.count.to_string());
    out.begin("policy_evaluated");
    out.leaf("disposition", row.disposition.as_str());
    out.leaf("dkim", aligned(row.dkim_aligned));
    out.leaf("spf", aligned(row.spf_aligned));
    for reason in &row.reasons {
        out.begin("reason");
        out.leaf("type", reason.reason.as_str());
        out.maybe("comment", reason.comment.as_deref());
        out.end("reason");
    }
    out.end("policy_evaluated");
    out.end("row");
    out.begin("identifiers");
    out.maybe("envelope_to", row.envelope_to.as_deref());
    out.maybe("envelope_from", row.envelope_from.as_deref());
    out.leaf("header_from", &row.header_from);
    out.end("identifiers");
    out.begin("auth_results");
    for DkimResult { domain, selector, result, human_result } in &row.dkim {
        out.begin("dkim");
        out.leaf("domain", domain);
        out.maybe("selector", selector.as_deref());
        out.leaf("result", result.as_str());
        out.maybe("human_result", human_result.as_deref());
        out.end("dkim");
    }
    for SpfResult { domain, scope, result, human_result } in &row.spf {
        out.begin("spf");
        out.leaf("domain", domain);
        out.maybe("scope", scope.map(super::SpfScope::as_str));
        out.leaf("result", result.as_str());
        out.maybe("human_result", human_result.as_deref());
        out.end("spf");
    }
    out.end("auth_results");
    out.end("record");
}

/// A document that is written.
struct Document {
    text: String,
    depth: usize,
}

impl Document {
    fn begin(&mut self, element: &str) {
        self.line(&["<", element, ">"]);
        self.depth += 1;
    }

    fn end(&mut self, element: &str) {
        self.depth -= 1;
        self.line(&["</", element, ">"]);
    }

    fn leaf(&mut self, element: &str, text: &str) {
        self.line(&["<", element, ">", &partial_escape(clean(text)), "</", element, ">"]);
    }

    fn maybe(&mut self, element: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.leaf(element, text);
        }
    }

    fn line(&mut self, parts: &[&str]) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.extend(parts.iter().copied());
        self.text.push('\n');
    }
}
