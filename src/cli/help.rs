//! The help of `recsys` itself: its commands by what they are for, and examples.

use clap::Command;

/// What stands below the commands.
pub const EXAMPLES: &str = "\
Examples:
  recsys init my-project                               a folder with a pipeline that runs at once
  recsys run pipelines/demo.yaml                       make data, train, compare; no network needed
  recsys run pipelines/music.yaml --var raw=DIR        the same on your own three Parquet files
  recsys run --set similar.n=20                        change a parameter; only what needs it runs
  recsys run --from als                                run `als` and what depends on it
  recsys run --dry-run                                 say what would run, and why
  recsys runs last                                     tell of the last run, step by step
  recsys metrics diff 20261121T07 last                 what changed between two runs, with tests
  recsys graph --format svg > pipeline.svg             the picture of the pipeline
  recsys kinds als                                     parameters, inputs, outputs, an example

Exit codes: 0 done, 1 a step failed or the output could not be written, 2 the file or the command
line is wrong, 130 or 143 stopped.";

/// What commands are for, and which they are, in the order of the help.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Run", &["run", "exp", "status", "why", "accept"]),
    ("Look back", &["runs", "metrics", "logs", "track", "cache", "storage"]),
    ("Write pipelines", &["init", "check", "graph", "kinds", "schema"]),
    ("Serve", &["serve", "recommend", "verify-service"]),
    ("Your shell", &["completions"]),
];

/// The command with its subcommands in groups.
pub fn grouped(command: Command) -> Command {
    let width = command.get_subcommands().map(|one| one.get_name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (group, names) in GROUPS {
        text.push_str(&format!("{group}:\n"));
        for one in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = one.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {:width$}  {about}\n", one.get_name()));
        }
        text.push('\n');
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{text}Options:\n{{options}}{{after-help}}\n"
    ))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for name in command.get_subcommands().map(Command::get_name) {
            assert_eq!(grouped.iter().filter(|grouped| **grouped == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn the_examples_are_commands() {
        for line in EXAMPLES.lines().filter_map(|line| line.strip_prefix("  recsys ")) {
            let (typed, _) = line.split_once("   ").unwrap_or((line, ""));
            let (typed, _) = typed.split_once(" >").unwrap_or((typed, ""));
            let words = std::iter::once("recsys").chain(typed.split_whitespace());
            Cli::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{typed}: {error}"));
        }
    }
}
