//! What agents of Defender say of themselves, against what rings offer.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fleet::health::{Fault, Health, Row, State, judge};
use model::Level;
use serde::Serialize;

use super::at::at;
use super::defender::Defender;
use super::elastic::Form;
use crate::commands::configure::configuration;
use crate::context::Context;
use crate::csv;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::table::{Align, Table};

/// The most reports.
const MOST: usize = 500_000;
/// The most bytes that are read of one; a larger one is none.
const LARGEST: u64 = 2 << 20;
/// How many folders deep reports are looked for.
const DEEPEST: usize = 16;
/// Endpoints that the page shows; all of them are in CSV and JSON.
const SHOWN: usize = 200;

/// A report that cannot be read.
#[derive(Serialize)]
struct Unread {
    host: String,
    unread: String,
}

pub(super) async fn run(args: &Defender, context: &mut Context) -> Result<Exit, Failure> {
    let reports = Reports::of(&args.health)?;
    let config = configuration(context)?;
    let mirror = at(args, config.as_ref(), context, &reports).await?;
    let now = context.clock.now();
    let (mut rows, mut unread) = (Vec::new(), Vec::new());
    for (host, report) in reports.each() {
        match report {
            Ok(health) => rows.push(judge(&host, &health, &mirror.held(), now)),
            Err(why) => unread.push(Unread { host, unread: why }),
        }
    }
    rows.sort_by(|a, b| (b.level, &a.host).cmp(&(a.level, &b.host)));
    if args.json {
        rows.iter().try_for_each(|row| context.out.json(row))?;
        unread.iter().try_for_each(|one| context.out.json(one))?;
    } else if args.form == Form::Csv {
        csv_of(&rows, &unread, context)?;
    } else {
        page(args, &rows, &unread, context)?;
        if mirror.addresses.is_empty() && rows.iter().any(|row| row.configured.is_some()) {
            let told = "the addresses of endpoints were held against no mirror's: name it with --url or --also-at";
            context.out.line("")?;
            context.out.line(told)?;
        }
    }
    Ok(exit(&rows, &unread))
}

fn exit(rows: &[Row], unread: &[Unread]) -> Exit {
    if rows.iter().any(|row| row.beyond_policy) {
        return Exit::STALE;
    }
    let wrong = !unread.is_empty() || rows.iter().any(|row| row.level == Level::Fail);
    if wrong { Exit::FAILED } else { Exit::DONE }
}

/// A place that was named, or lies in a folder that was.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// The endpoint's name: below a folder the way to the file, so that two sites may have hosts of one name.
    host: String,
    /// Why it is not read.
    passed: Option<&'static str>,
}

impl File {
    fn named(path: &Path) -> Self {
        let host = if path == Path::new("-") {
            "standard input".to_owned()
        } else {
            name(&path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
        };
        Self { path: path.to_owned(), host, passed: None }
    }

    fn below(folder: &Path, path: PathBuf, passed: Option<&'static str>) -> Self {
        let way = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        Self { host: name(&way), path, passed }
    }
}

/// Every file that is meant: of a folder all that lies below it, in order of name.
fn files(paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            files.push(File::named(path));
            continue;
        }
        if !std::fs::metadata(path).map_err(|error| cannot(path, &error))?.is_dir() {
            files.push(File::named(path));
            continue;
        }
        let mut inside = Vec::new();
        gather(path, path, DEEPEST, &mut inside)?;
        if inside.is_empty() {
            return Err(Failure::usage(format!("{} holds no files", path.display())));
        }
        inside.sort_by(|a, b| a.path.cmp(&b.path));
        files.append(&mut inside);
    }
    if files.len() > MOST {
        return Err(Failure::usage(format!("more than {MOST} reports: name them in parts")));
    }
    Ok(files)
}

/// What lies below a folder. Names that begin with a dot are no reports; whatever else cannot be one is told.
fn gather(top: &Path, folder: &Path, left: usize, into: &mut Vec<File>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(|error| cannot(folder, &error))? {
        let entry = entry.map_err(|error| cannot(folder, &error))?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| cannot(&path, &error))?;
        if kind.is_dir() {
            match left.checked_sub(1) {
                Some(left) => gather(top, &path, left, into)?,
                None => into.push(File::below(top, path, Some("is passed over: it lies too deep"))),
            }
        } else if kind.is_file() {
            into.push(File::below(top, path, None));
        } else {
            into.push(File::below(top, path, Some("is passed over: it is neither a plain file nor a folder")));
        }
        if into.len() > MOST {
            break;
        }
    }
    Ok(())
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(&format!("cannot read {}", path.display()), error).with_exit(Exit::USAGE)
}

/// Where reports are. Standard input is read at once; files each time that they are asked for, because thousands of
/// them would not fit.
pub(super) struct Reports {
    files: Vec<File>,
    input: Result<Vec<u8>, String>,
}

impl Reports {
    fn of(paths: &[PathBuf]) -> Result<Self, Failure> {
        let files = files(paths)?;
        let told = |error: io::Error| format!("cannot be read: {error}");
        let is_input = |file: &File| file.path == Path::new("-");
        let input = if files.iter().any(is_input) { capped(io::stdin()).map_err(told) } else { Ok(Vec::new()) };
        Ok(Self { files, input })
    }

    /// Each endpoint's name, and what it reports.
    pub(super) fn each(&self) -> impl Iterator<Item = (String, Result<Health, String>)> {
        self.files.iter().map(|file| {
            let bytes = if let Some(why) = file.passed {
                Err(why.to_owned())
            } else if file.path == Path::new("-") {
                self.input.clone()
            } else {
                std::fs::File::open(&file.path).and_then(capped).map_err(|error| format!("cannot be read: {error}"))
            };
            (file.host.clone(), bytes.and_then(|bytes| Health::read(&bytes).map_err(|error| error.to_string())))
        })
    }
}

fn capped(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An endpoint's name: that of its file, without what says its form.
fn name(file: &str) -> String {
    let stem = [".txt", ".json", ".log", ".out"].iter().find_map(|suffix| file.strip_suffix(suffix));
    stem.unwrap_or(file).to_owned()
}

fn page(args: &Defender, rows: &[Row], unread: &[Unread], context: &mut Context) -> Result<(), Failure> {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    let mut faults: BTreeMap<Fault, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.state).or_default() += 1;
        row.faults.iter().for_each(|fault| *faults.entry(*fault).or_default() += 1);
    }
    let mut told: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    if !unread.is_empty() {
        told.push(format!("{} unread", unread.len()));
    }
    let head = format!("{}: {}", show::count(rows.len() + unread.len(), "endpoint"), told.join(", "));
    context.out.line(head.trim_end_matches([':', ' ']))?;
    let wanted: Vec<&Row> = {
        let is_told = |row: &&Row| args.all || row.level != Level::Fine || row.state != State::Equal;
        rows.iter().filter(is_told).collect()
    };
    let mut table = Table::new([
        ("HOST", Align::Left),
        ("RING", Align::Left),
        ("STATE", Align::Left),
        ("LEVEL", Align::Left),
        ("DEFINITIONS", Align::Left),
        ("OFFERED", Align::Left),
        ("ENGINE", Align::Left),
        ("SOURCE", Align::Left),
        ("FAULTS", Align::Left),
    ]);
    for row in wanted.iter().take(SHOWN) {
        let or_dash = |version: Option<&model::Version>| version.map_or_else(show::dash, ToString::to_string);
        let codes: Vec<&str> = row.faults.iter().map(|fault| fault.code()).collect();
        table.push([
            row.host.clone(),
            row.ring.as_ref().map_or_else(show::dash, ToString::to_string),
            row.state.as_str().to_owned(),
            row.level.to_string(),
            or_dash(row.definitions.as_ref()),
            or_dash(row.offered.as_ref()),
            or_dash(row.engine.as_ref()),
            row.source.clone().unwrap_or_else(show::dash),
            if codes.is_empty() { show::dash() } else { codes.join(", ") },
        ]);
    }
    if !wanted.is_empty() {
        context.out.line("")?;
    }
    table.write(&mut context.out)?;
    if wanted.len() > SHOWN {
        context.out.line(format!("and {} more; --form csv has all", wanted.len() - SHOWN))?;
    }
    for one in unread {
        context.out.line(format!("{}: {}", one.host, one.unread))?;
    }
    for (fault, count) in faults {
        context.out.line("")?;
        context.out.line(format!("{} on {}: {}", fault.code(), show::count(count, "endpoint"), fault.what()))?;
        context.out.line(format!("  {}", fault.remedy()))?;
    }
    if wanted.iter().take(SHOWN).any(|row| row.why.is_some()) {
        context.out.line("")?;
    }
    for (row, why) in wanted.iter().take(SHOWN).filter_map(|row| Some((row, row.why.as_ref()?))) {
        context.out.line(format!("{} is {}: {why}", row.host, row.state.as_str()))?;
    }
    for row in wanted.iter().take(SHOWN).filter(|row| row.fail_reason.is_some()) {
        context.out.line(format!("{} says: {}", row.host, row.fail_reason.as_deref().unwrap_or_default()))?;
    }
    Ok(())
}

fn csv_of(rows: &[Row], unread: &[Unread], context: &mut Context) -> Result<(), Failure> {
    let head = [
        "host",
        "agent version",
        "ring",
        "feed",
        "state",
        "level",
        "definitions",
        "offered",
        "engine",
        "source",
        "configured",
        "updated minutes ago",
        "faults",
        "its own words",
        "why",
    ];
    csv::line(&mut context.out, head)?;
    let text = |value: Option<String>| value.unwrap_or_default();
    for row in rows {
        let codes: Vec<&str> = row.faults.iter().map(|fault| fault.code()).collect();
        csv::line(
            &mut context.out,
            [
                row.host.clone(),
                text(row.agent_version.clone()),
                text(row.ring.as_ref().map(ToString::to_string)),
                text(row.feed.as_ref().map(ToString::to_string)),
                row.state.as_str().to_owned(),
                row.level.to_string(),
                text(row.definitions.as_ref().map(ToString::to_string)),
                text(row.offered.as_ref().map(ToString::to_string)),
                text(row.engine.as_ref().map(ToString::to_string)),
                text(row.source.clone()),
                text(row.configured.clone()),
                text(row.updated_minutes_ago.map(|minutes| minutes.to_string())),
                codes.join(" "),
                text(row.fail_reason.clone()),
                text(row.why.clone()),
            ],
        )?;
    }
    let empty = String::new;
    unread.iter().try_for_each(|one| {
        let mut cells = vec![one.host.clone(), empty(), empty(), empty(), "unread".to_owned(), "fail".to_owned()];
        cells.resize(head.len() - 1, empty());
        cells.push(one.unread.clone());
        csv::line(&mut context.out, cells)
    })
}
