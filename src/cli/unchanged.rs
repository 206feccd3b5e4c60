//! The answer when nothing has changed since there was nothing to do, given before anything else is
//! started: the command line is not even parsed as a whole. What is not understood here, or not the same in every
//! point, is left to the full command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use super::project::DEFAULT_PIPELINE;
use super::workspace::store;
use super::{cache, forecasts, tracked};
use crate::console;
use crate::workflow::plan::kept;
use crate::workflow::spec::Overrides;
use crate::workflow::witness::{self, ENDING, Purpose};

/// What was asked, in words that are understood here.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    forecast: bool,
    pipeline: Option<PathBuf>,
    overrides: Overrides,
}

/// What `recsys run`, `run --dry-run` or `status` has to say when nothing has changed.
pub fn unchanged() -> Option<String> {
    let began = Instant::now();
    let asked = Asked::read(std::env::args_os().skip(1))?;
    environment_is_understood().then_some(())?;
    let root = std::env::current_dir().ok()?;
    (asked.forecast || !tracked::begins_with_this(&root)).then_some(())?;
    let store = store(&root);
    let set = || std::env::var_os("RECSYS_PIPELINE").map(PathBuf::from);
    let pipeline = asked.pipeline.or_else(set).unwrap_or_else(|| DEFAULT_PIPELINE.into());
    let path = store.plan_path(kept::key(&root, &pipeline, &asked.overrides)).with_extension(ENDING);
    let purpose = if asked.forecast { Purpose::Forecast } else { Purpose::Run };
    let confirmed = witness::confirm(&store, &path, &root, purpose)?;
    Some(if asked.forecast {
        forecasts::unchanged(&confirmed.names())
    } else {
        console::nothing_to_do(&confirmed.summaries(), confirmed.steps, 0, began.elapsed())
    })
}

/// Whether the variables that stand for options would be taken, and change nothing.
fn environment_is_understood() -> bool {
    let value = |name| std::env::var_os(name).map(OsString::into_string);
    let format = value("RECSYS_LOG_FORMAT").is_none_or(|format| format.is_ok_and(|format| format == "text"));
    let size =
        value("RECSYS_CACHE_SIZE").is_none_or(|size| size.is_ok_and(|size| cache::size(&size).is_ok()));
    format && size
}

impl Asked {
    fn read(words: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = words.into_iter().map(|word| word.into_string().ok());
        let mut asked = Self::default();
        let runs = match words.next()??.as_str() {
            "run" => true,
            "status" => false,
            _ => return None,
        };
        asked.forecast = !runs;
        let (mut jobs, mut keep_going) = (false, false);
        while let Some(word) = words.next() {
            let word = word?;
            let (name, given) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || match given.clone() {
                Some(value) => Some(value),
                None => words.next()?.filter(|value| !value.starts_with('-')),
            };
            match name {
                "--config" => asked.overrides.configs.push(value()?.into()),
                "--var" => asked.overrides.vars.push(value()?),
                "--set" => asked.overrides.set.push(value()?),
                "--jobs" | "-j" if runs => once(&mut jobs, is_count(&value()?))?,
                "--dry-run" if runs => once(&mut asked.forecast, given.is_none())?,
                "--keep-going" if runs => once(&mut keep_going, given.is_none())?,
                name if name.starts_with("-j") && runs => once(&mut jobs, is_count(&name[2..]))?,
                name if name.starts_with('-') || asked.pipeline.is_some() => return None,
                _ => asked.pipeline = Some(word.into()),
            }
        }
        Some(asked)
    }
}

/// Sets a flag that may be given once.
fn once(flag: &mut bool, is_right: bool) -> Option<()> {
    (!std::mem::replace(flag, true) && is_right).then_some(())
}

fn is_count(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn read(words: &str) -> Option<Asked> {
        Asked::read(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn what_is_understood_is_what_the_command_understands() {
        for words in [
            "run",
            "run a.yaml",
            "run a.yaml -j 2",
            "run -j2 a.yaml --keep-going",
            "run --jobs=3 --dry-run",
            "status a.yaml --var x=1 --var=y=2",
            "run --set a.b=1 --config c.yaml --set=a.c={x: 1}",
        ] {
            assert!(read(words).is_some(), "{words}");
            assert!(Cli::try_parse_from(format!("recsys {words}").split_whitespace()).is_ok(), "{words}");
        }
        let asked = read("run --config c.yaml a.yaml --set a.b=1 --dry-run --var x=1=2").unwrap();
        assert_eq!((asked.forecast, asked.pipeline), (true, Some("a.yaml".into())));
        assert_eq!(asked.overrides.configs, [PathBuf::from("c.yaml")]);
        assert_eq!((asked.overrides.set, asked.overrides.vars), (vec!["a.b=1".into()], vec!["x=1=2".into()]));
        assert!(read("status").unwrap().forecast && !read("run").unwrap().forecast);
    }

    #[test]
    fn everything_else_is_left_to_the_full_command() {
        for words in [
            "",
            "check",
            "runs",
            "-C . run",
            "run -C .",
            "run a.yaml b.yaml",
            "run --force",
            "run --force a",
            "run --from a",
            "run --until a",
            "run --only a",
            "run --serve",
            "run --log-format json",
            "run --log-format=text",
            "run --cache-size 1GiB",
            "run --dry-run --dry-run",
            "run --dry-run=true",
            "run --keep-going --keep-going",
            "run -j",
            "run -j 0",
            "run -j x",
            "run -j 2 -j 2",
            "run -j2 --jobs 2",
            "run -j 65536",
            "run --jobs +1",
            "run --var",
            "run --var --dry-run",
            "run --help",
            "run -- a.yaml",
            "status -j 2",
            "status --dry-run",
            "status --keep-going",
            "status --format json",
            "why a",
        ] {
            assert_eq!(read(words), None, "{words}");
        }
    }
}
