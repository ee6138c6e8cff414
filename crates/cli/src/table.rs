//! Columns as wide as what stands in them.

use crate::failure::Failure;
use crate::out::Out;
use crate::show;

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a head.
pub(crate) struct Table<const N: usize> {
    head: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(head: [(&'static str, Align); N]) -> Self {
        Self { head, rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: [String; N]) {
        self.rows.push(row.map(|cell| show::clean(&cell)));
    }

    /// Writes it; nothing when it has no rows.
    pub(crate) fn write(&self, out: &mut Out) -> Result<(), Failure> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut widths = self.head.map(|(name, _)| width(name));
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        out.line(self.lay(&widths, self.head.map(|(name, _)| name)))?;
        self.rows.iter().try_for_each(|row| out.line(self.lay(&widths, row.each_ref().map(String::as_str))))
    }

    fn lay(&self, widths: &[usize; N], cells: [&str; N]) -> String {
        let mut line = String::new();
        for ((cell, wide), (_, align)) in cells.into_iter().zip(widths).zip(&self.head) {
            let gap = " ".repeat(wide.saturating_sub(width(cell)));
            match align {
                Align::Left => line.extend([cell, &gap, "  "]),
                Align::Right => line.extend([&gap, cell, "  "]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Page;

    #[test]
    fn columns_fit_their_content_and_cells_cannot_break_lines_c36() {
        let page = Page::default();
        let mut table = Table::new([("FEED", Align::Left), ("BYTES", Align::Right)]);
        table.push(["a\nb".to_owned(), "1 B".to_owned()]);
        table.push(["elastic/9.0.0".to_owned(), "100.0 MB".to_owned()]);
        table.write(&mut Out::to(page.clone())).unwrap();
        let text = page.text();
        assert_eq!(text, "FEED              BYTES\na\\nb                1 B\nelastic/9.0.0  100.0 MB\n");
    }
}
