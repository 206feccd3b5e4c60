//! `recsys completions`: what a shell needs to complete commands and options, derived from them.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CommandError};
use crate::console::say;

/// Print what makes a shell complete commands and options.
#[derive(Debug, Args)]
#[command(after_help = "\
Install:
  bash   recsys completions bash > ~/.local/share/bash-completion/completions/recsys
  zsh    recsys completions zsh > \"${fpath[1]}/_recsys\"
  fish   recsys completions fish > ~/.config/fish/completions/recsys.fish
The next shell that you open has them.")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// None: the signature is that of the other commands.
pub fn completions(args: &CompletionsArgs) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "recsys", &mut script);
    say(&String::from_utf8_lossy(&script));
    Ok(())
}
