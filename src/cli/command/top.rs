//! `top`: what goes on, on a screen that renews itself.

use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};
use serde_json::Value;

use super::super::client::{Client, Request};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{field, status};
use super::super::output::{Tone, plain, when};
use super::super::session::Session;
use crate::model::{Span, Timestamp};

/// Show what goes on.
#[derive(Debug, clap::Args)]
pub struct Top {
    /// How often it is renewed
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    every: String,
}

/// What a node knows.
#[derive(Default)]
struct Seen {
    status: Value,
    nodes: Vec<Value>,
    running: Vec<Value>,
    next: Vec<Value>,
    failed: Vec<Value>,
}

/// What is on the screen.
struct View {
    seen: Seen,
    /// Why this is not what it is now.
    stale: Option<String>,
    color: bool,
}

/// Rows that are asked for in each list.
const ROWS: usize = 40;
const KEYS_EVERY: Duration = Duration::from_millis(100);
/// After this long a screen is old.
const PATIENCE: Duration = Duration::from_secs(5);

impl Top {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let every = Span::parse(&self.every);
        let every = every.map_err(|why| Failure::usage(format!("--every: {why}")))?;
        let every = every.std().max(Duration::from_millis(200));
        if !session.terminal.stdout || !session.terminal.asks() {
            return Err(Failure::usage("top needs a terminal")
                .advise("`cronapi cluster status` and `cronapi get runs -w` work in a pipe"));
        }
        let client = session.client()?;
        // What keeps it from being shown at all is told in the usual way.
        let seen = read(&client).await?;
        let mut view = View { seen, stale: None, color: session.terminal.color() };
        let mut screen = ratatui::try_init()
            .map_err(|error| Failure::failed(format!("the terminal can't be used: {error}")))?;
        let outcome = renew(&client, &mut view, every, &mut screen).await;
        ratatui::restore();
        outcome
    }
}

async fn renew(
    client: &Client,
    view: &mut View,
    every: Duration,
    screen: &mut ratatui::DefaultTerminal,
) -> Outcome {
    // Keys are heard while an answer is waited for.
    let mut next = Box::pin(after(every, client));
    let mut keys = tokio::time::interval(KEYS_EVERY);
    loop {
        screen.draw(|frame| draw(frame, view))?;
        tokio::select! {
            _ = keys.tick() => {
                while event::poll(Duration::ZERO)? {
                    let Event::Key(key) = event::read()? else { continue };
                    if key.kind != KeyEventKind::Press {
                        continue;
                    }
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    match key.code {
                        KeyCode::Char('c') if control => return Ok(Code::Interrupted as u8),
                        KeyCode::Char('q') | KeyCode::Esc => return Ok(0),
                        _ => {}
                    }
                }
            }
            seen = &mut next => {
                match seen {
                    Ok(seen) => (view.seen, view.stale) = (seen, None),
                    Err(failure) if failure.code == Code::Access => return Err(failure),
                    Err(failure) => view.stale = Some(failure.to_string()),
                }
                next.set(after(every, client));
            }
        }
    }
}

async fn after(pause: Duration, client: &Client) -> Result<Seen, Failure> {
    tokio::time::sleep(pause).await;
    let slow = |_| Failure::new(Code::Timeout, format!("no answer for {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, read(client)).await.map_err(slow)?
}

/// Asks anew; what a node knows is enough, so that a cluster without a leader is shown too.
async fn read(client: &Client) -> Result<Seen, Failure> {
    let local = "consistency=local";
    let items = async |path: String| {
        let mut answer = client.fetch(Request::get(path)).await?;
        Ok::<_, Failure>(match answer["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        })
    };
    let status = client.fetch(Request::get(format!("/system/status?{local}"))).await?;
    let open = "running,assigned,queued,waiting";
    let mut next =
        items(format!("/jobs?enabled=true&sort=next_fire_at&limit={ROWS}&{local}")).await?;
    next.retain(|job| job["next_fire_at"].is_string());
    Ok(Seen {
        status,
        nodes: items(format!("/cluster/nodes?{local}")).await?,
        running: items(format!("/runs?status={open}&limit={ROWS}&{local}")).await?,
        next,
        failed: items(format!("/runs?status=failed,timed_out,lost&limit={ROWS}&{local}")).await?,
    })
}

fn draw(frame: &mut Frame<'_>, view: &View) {
    let seen = &view.seen;
    let nodes = u16::try_from(seen.nodes.len().clamp(1, 7)).unwrap_or(1) + 3;
    let areas: [Rect; 4] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(nodes),
        Constraint::Min(5),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let halves: [Rect; 2] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)])
            .areas(areas[2]);
    let right: [Rect; 2] =
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(halves[1]);
    let now = crate::clock::now();
    frame.render_widget(head(view), areas[0]);
    let node = |node: &Value| {
        let busy = format!("{}/{}", field(node, "/busy"), field(node, "/slots"));
        let live = if node["live"] == true { field(node, "/role") } else { "away".into() };
        vec![field(node, "/id"), live, field(node, "/address"), busy, field(node, "/lag")]
    };
    let widths = [17, 10, 30, 9, 8];
    let names = ["NODE", "ROLE", "ADDRESS", "BUSY", "LAG"];
    list(frame, areas[1], view, "Nodes", &names, &widths, seen.nodes.iter().map(node));
    let running = |run: &Value| {
        let since = ago(run, "/started_at", now);
        vec![field(run, "/job"), field(run, "/status"), since, field(run, "/node")]
    };
    let names = ["JOB", "STATUS", "SINCE", "NODE"];
    let widths = [14, 9, 7, 15];
    list(frame, halves[0], view, "Running", &names, &widths, seen.running.iter().map(running));
    let next = |job: &Value| {
        let at = Timestamp::parse(&field(job, "/next_fire_at"));
        let text = at.map_or_else(|_| "-".to_owned(), |at| when::relative(at, now));
        vec![field(job, "/name"), text]
    };
    let names = ["JOB", "WHEN"];
    list(frame, right[0], view, "Next", &names, &[30, 12], seen.next.iter().map(next));
    let failed = |run: &Value| {
        let at = ago(run, "/finished_at", now);
        vec![field(run, "/job"), field(run, "/status"), at, field(run, "/error")]
    };
    let names = ["JOB", "STATUS", "AGO", "WHY"];
    let widths = [16, 10, 6, 14];
    list(frame, right[1], view, "Failed", &names, &widths, seen.failed.iter().map(failed));
    let foot = view.stale.as_ref().map_or("q ends it".to_owned(), |why| plain(why));
    let style = if view.stale.is_some() { tone(view, Tone::Bad) } else { tone(view, Tone::Faint) };
    frame.render_widget(Paragraph::new(Line::styled(foot, style)), areas[3]);
}

fn head(view: &View) -> Paragraph<'static> {
    let status = &view.seen.status;
    let open: u64 = status["open_runs"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.values().filter_map(Value::as_u64))
        .sum();
    let leader = field(status, "/leader_id");
    let leader =
        if leader == "-" { "no leader".to_owned() } else { format!("node {leader} leads") };
    let text = format!(
        "CronAPI {}  {leader}  {} jobs ({} paused)  {open} open runs  {} fired, {} failed",
        field(status, "/version"),
        status["jobs"],
        status["jobs_paused"],
        status["totals"]["fired"],
        status["totals"]["failed"],
    );
    Paragraph::new(Line::styled(text, Style::new().add_modifier(Modifier::BOLD)))
}

fn ago(item: &Value, pointer: &str, now: Timestamp) -> String {
    let at = Timestamp::parse(&field(item, pointer));
    at.map_or_else(|_| "-".to_owned(), |at| when::rough(now.since(at)))
}

fn tone(view: &View, tone: Tone) -> Style {
    match tone {
        _ if !view.color => Style::new(),
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Bad => Style::new().fg(Color::Red),
        Tone::Busy => Style::new().fg(Color::Yellow),
        Tone::Faint => Style::new().add_modifier(Modifier::DIM),
    }
}

/// A framed list; the second column has the colour of its status.
fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View,
    title: &'static str,
    names: &[&'static str],
    widths: &[u16],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let rows = rows.map(|cells| {
        let style = tone(view, cells.get(1).map_or(Tone::Plain, |text| status(text.clone()).tone));
        Row::new(cells.into_iter().enumerate().map(move |(at, text)| {
            let style = if at == 1 { style } else { Style::new() };
            Line::styled(plain(&text), style)
        }))
    });
    let widths: Vec<Constraint> = widths.iter().map(|width| Constraint::Min(*width)).collect();
    let header = Row::new(names.to_vec()).style(tone(view, Tone::Faint));
    let block = Block::new().borders(Borders::TOP).title(title);
    frame.render_widget(Table::new(rows, widths).header(header).block(block), area);
}
