//! Where a run happens: machine, user, the commit of the project.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// The name of the machine.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

/// Who runs it.
pub fn user() -> Option<String> {
    ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
}

/// Tags with the commit of the project, its branch, and whether files differ from it: git is asked on a thread of
/// its own, because a large work tree takes it seconds. Nothing comes where there is no git.
pub fn commit(root: &Path) -> Receiver<BTreeMap<String, String>> {
    let (tell, told) = channel();
    let root = root.to_owned();
    // Without the thread the tags are missing, nothing else.
    let _ = std::thread::Builder::new().name("git".to_owned()).spawn(move || {
        let git = |words: &[&str]| {
            let output = Command::new("git")
                .args(["--no-optional-locks", "-C"])
                .arg(&root)
                .args(words)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()
                .ok()
                .filter(|output| output.status.success())?;
            Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
        };
        let mut tags = BTreeMap::new();
        if let Some(commit) = git(&["rev-parse", "HEAD"]) {
            tags.insert("mlflow.source.git.commit".to_owned(), commit);
            if let Some(branch) =
                git(&["rev-parse", "--abbrev-ref", "HEAD"]).filter(|branch| branch != "HEAD")
            {
                tags.insert("mlflow.source.git.branch".to_owned(), branch);
            }
            if let Some(changes) = git(&["status", "--porcelain", "--untracked-files=no"]) {
                tags.insert("mlflow.source.git.dirty".to_owned(), (!changes.is_empty()).to_string());
            }
        }
        let _ = tell.send(tags);
    });
    told
}
