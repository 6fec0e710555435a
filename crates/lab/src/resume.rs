//! Instructions for resuming an experiment that was stopped.

/// The message with the command to type: the command line of this process with `--resume`.
pub fn how_to_resume() -> String {
    let asked = ["--resume", "--overwrite"];
    let words: Vec<String> = std::env::args().filter(|word| !asked.contains(&word.as_str())).collect();
    format!("Stopped; to resume:\n  {} --resume", command_line(&words))
}

/// Words as a command line for a shell.
pub fn command_line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
