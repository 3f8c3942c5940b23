//! Tables of text.

/// Columns of which each is as wide as its widest cell; the last one has no width. Two spaces
/// stand between them, and none at the end of a line.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.0.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, each after this indent. Columns that are empty everywhere are left out.
    pub(crate) fn print(&self, indent: &str) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.0 {
            let mut line = indent.to_owned();
            for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                line += &format!("{cell:width$}  ");
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Words in lines of at most so many characters, where they fit; the second and later ones begin
/// with `indent`.
pub(crate) fn wrapped(first: &str, parts: &[String], indent: &str, width: usize) -> String {
    let mut text = first.to_owned();
    let mut used = first.chars().count();
    for (index, part) in parts.iter().enumerate() {
        let comma = if index + 1 < parts.len() { "," } else { "" };
        let length = part.chars().count() + comma.len();
        if used + 1 + length > width && index > 0 {
            text += &format!("\n{indent}");
            used = indent.chars().count();
        } else if !text.ends_with(' ') {
            text.push(' ');
            used += 1;
        }
        text += part;
        text += comma;
        used += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::default();
        table.row(["who", "", "to"]);
        table.row(["anyone", "", "bücher.example", "x"]);
        table.row(["a", "", ""]);
        assert_eq!(table.print("  "), "  who     to\n  anyone  bücher.example  x\n  a\n");
        assert_eq!(Table::default().print(""), "");
    }

    #[test]
    fn lines_are_broken_between_parts() {
        let parts = ["aaa", "bbb", "ccc"].map(str::to_owned);
        assert_eq!(wrapped("x:", &parts, "   ", 11), "x: aaa,\n   bbb, ccc");
        assert_eq!(wrapped("x:", &parts, "   ", 12), "x: aaa, bbb,\n   ccc");
        assert_eq!(wrapped("x:", &parts, "   ", 1), "x: aaa,\n   bbb,\n   ccc");
        assert_eq!(wrapped("x:", &[], "   ", 9), "x:");
    }
}
