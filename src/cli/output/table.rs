//! Tables: aligned, narrowed to a terminal by leaving the less important columns out.

use comfy_table::{Attribute, Cell as Drawn, Color, ContentArrangement, Table, presets};
use serde_json::Value;

use super::{Columns, Format, Output};
use crate::cli::plain::commands;

/// What a cell means, which is its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
    Busy,
    Faint,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Cell {
    pub(in crate::cli) text: String,
    pub(in crate::cli) tone: Tone,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell { text, tone: Tone::Plain }
    }
}

/// Two spaces between columns.
const GAP: usize = 2;

/// Which columns are shown and how wide they are, so that what is listed later stands below.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Layout {
    shown: Vec<usize>,
    widths: Vec<usize>,
}

pub(super) fn render(output: &Output, items: &[Value], columns: &Columns, header: bool) -> String {
    let wide = output.format == Format::Wide;
    let cells: Vec<Vec<Cell>> = items
        .iter()
        .map(|item| columns.columns.iter().map(|column| (column.show)(item, output)).collect())
        .collect();
    let mut layout = output.layout.borrow_mut();
    if header || layout.shown.is_empty() {
        layout.widths = columns.columns.iter().map(|column| column.title.len()).collect();
        layout.shown =
            (0..columns.columns.len()).filter(|at| wide || !columns.columns[*at].wide).collect();
    }
    for row in &cells {
        for (width, cell) in layout.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    if header && output.person && !wide {
        narrow(&mut layout);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if output.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let last = layout.shown.last().copied();
    let padded = |text: &str, at: usize| {
        let width = if Some(at) == last { 0 } else { layout.widths[at] };
        format!("{text:<width$}")
    };
    if header {
        table.set_header(layout.shown.iter().map(|at| {
            let drawn = Drawn::new(padded(columns.columns[*at].title, *at));
            if output.color { drawn.add_attribute(Attribute::Bold) } else { drawn }
        }));
    }
    for row in &cells {
        table.add_row(layout.shown.iter().map(|at| {
            let Cell { text, tone } = &row[*at];
            draw(padded(&plain(text), *at), *tone)
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    lines.concat()
}

/// Leaves columns out, the last one first, until the rest fits.
fn narrow(layout: &mut Layout) {
    let Some(room) = Table::new().width().map(usize::from) else { return };
    let Layout { shown, widths } = layout;
    while shown.len() > 2 && shown.iter().map(|at| widths[*at] + GAP).sum::<usize>() > room + GAP {
        shown.pop();
    }
}

fn draw(text: String, tone: Tone) -> Drawn {
    let drawn = Drawn::new(text);
    match tone {
        Tone::Plain => drawn,
        Tone::Good => drawn.fg(Color::DarkGreen),
        Tone::Bad => drawn.fg(Color::DarkRed),
        Tone::Busy => drawn.fg(Color::DarkYellow),
        Tone::Faint => drawn.add_attribute(Attribute::Dim),
    }
}

/// A text that can't command the terminal it is shown on.
pub(in crate::cli) fn plain(text: &str) -> String {
    text.chars().map(|c| if commands(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::columns::{cell, col, field};
    use super::*;
    use crate::model::Timestamp;

    const THREE: Columns = Columns {
        columns: &[
            col("NAME", |v, _| cell(v, "/name")),
            col("LIMIT", |v, _| cell(v, "/concurrency")),
            col("BUSY", |v, _| cell(v, "/busy")),
        ],
        name: |v| field(v, "/name"),
    };

    fn output(color: bool) -> Output {
        let (format, layout) = (Format::Table, Default::default());
        Output { format, color, person: false, now: Timestamp::ZERO, layout }
    }

    #[test]
    fn what_is_listed_later_stands_below() {
        let output = output(false);
        let one = |name: &str, header| {
            render(&output, &[json!({"name": name, "busy": 1})], &THREE, header)
        };
        assert_eq!(one("long-name", true), "NAME       LIMIT  BUSY\nlong-name  -      1\n");
        assert_eq!(one("b", false), "b          -      1\n");
    }

    fn drawn(color: bool) -> String {
        let output = output(color);
        let items = [json!({"name": "a", "concurrency": null, "busy": 3}), json!({"name": "long"})];
        render(&output, &items, &THREE, true)
    }

    #[test]
    fn columns_stand_under_each_other_and_lines_end_without_spaces() {
        let text = drawn(false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME  LIMIT  BUSY");
        assert_eq!(lines[1], "a     -      3");
        assert_eq!(lines[2], "long  -      -");
    }

    #[test]
    fn colour_only_when_asked_for() {
        assert!(!drawn(false).contains('\u{1b}'));
        assert!(drawn(true).contains('\u{1b}'));
    }

    #[test]
    fn a_text_can_not_command_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a [31mb c");
    }
}
