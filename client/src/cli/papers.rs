//! Completions for shells and pages for `man`, made from the command line itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// What can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Paper {
    /// What Bash, Zsh and Fish complete
    Completions,
    /// A page for man
    Man,
}

/// What is to be made of the command line itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PapersArgs {
    /// Write completions for shells, or a page for man, into the folder of --into, and end
    #[arg(long, value_enum, hide = true, requires = "into", value_name = "WHAT")]
    pub generate: Option<Paper>,

    /// The folder
    #[arg(long, hide = true, requires = "generate", value_name = "DIR")]
    pub into: Option<PathBuf>,
}

impl PapersArgs {
    /// Writes what was asked for; false when nothing was.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn write(&self, command: Command) -> io::Result<bool> {
        match (self.generate, &self.into) {
            (Some(Paper::Completions), Some(folder)) => completions(command, folder).map(|()| true),
            (Some(Paper::Man), Some(folder)) => man(command, folder).map(|()| true),
            _ => Ok(false),
        }
    }
}

/// Ends the program when something was to be written, whether that was possible or not.
pub fn write_or_end(args: &PapersArgs, command: Command) {
    match args.write(command.clone()) {
        Ok(false) => {}
        Ok(true) => std::process::exit(0),
        Err(error) => {
            let sentence = format!("the folder cannot be written to: {error}");
            let mut command = command;
            command.error(clap::error::ErrorKind::Io, sentence).exit();
        }
    }
}

fn completions(mut command: Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, &name, folder)?;
    }
    Ok(())
}

fn man(command: Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let name = format!("{}.1", command.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    fs::write(folder.join(name), page)
}
