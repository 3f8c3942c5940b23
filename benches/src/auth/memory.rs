//! What the program `auth_memory` counts.

use std::collections::HashMap;
use std::fmt::Write;

/// Octets that verifying may take at most at one time, whatever the size of the message.
pub const MOST: u64 = 64 << 10;

/// Allocations of each row, and the most octets at one time while a large message is verified.
pub struct Counted {
    rows: HashMap<String, (u64, Option<u64>)>,
    /// While 10 MiB are verified in pieces of 16 KiB, the piece not included.
    pub peak: u64,
    /// While 1 MiB is.
    pub peak_small: u64,
}

impl Counted {
    /// Of hikyaku and of mail-auth, in one run of a row.
    pub fn allocations(&self, row: &str) -> (u64, Option<u64>) {
        self.rows[row]
    }

    /// The memory as people read it.
    pub fn sentence(&self) -> String {
        let kib = |octets: u64| octets as f64 / 1024.0;
        format!(
            "Memory: the most that verifying a signed message takes at one time beside the piece of 16 KiB: \
             {:.1} KiB for 10 MiB, {:.1} KiB for 1 MiB (asked: ≤ {:.0} KiB).",
            kib(self.peak),
            kib(self.peak_small),
            kib(MOST),
        )
    }
}

/// Lines for [`read`].
pub fn lines(rows: &[(&str, u64, Option<u64>)], peak: u64, peak_small: u64) -> String {
    let mut lines = format!("peak\t{peak}\t{peak_small}\n");
    for (name, ours, peer) in rows {
        let peer = peer.map_or("-".into(), |peer| peer.to_string());
        let _ = writeln!(lines, "{name}\t{ours}\t{peer}");
    }
    lines
}

/// Reads what the program has printed.
///
/// # Panics
/// It is not that.
pub fn read(text: &str) -> Counted {
    let mut rows = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().expect("a line has three fields");
        rows.insert(next().to_owned(), (next().parse().expect("a number"), next().parse().ok()));
    }
    let (peak, peak_small) = rows.remove("peak").expect("a line `peak`");
    Counted { rows, peak, peak_small: peak_small.expect("a second number") }
}
