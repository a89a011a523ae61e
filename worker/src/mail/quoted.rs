//! Which part of a reply is new. A quoted request that was answered long ago must not be quoted a second time.

/// The parts of a mail's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    pub new: String,
    pub quoted: String,
}

/// Separates what a reply quotes. Only for replies: in a forwarded mail the quoted part *is* the message, and
/// there it stays where it is. If nothing new is left, the whole text counts as new.
pub fn split(text: &str, is_reply: bool) -> Split {
    let lines: Vec<&str> = text.lines().collect();
    if !is_reply || lines.iter().any(|line| is_forward(line)) {
        return Split { new: text.to_owned(), quoted: String::new() };
    }
    let cut = lines.iter().enumerate().position(|(at, line)| begins_quote(line, &lines[at + 1..]));
    let (head, tail) = lines.split_at(cut.unwrap_or(lines.len()));
    let (mut new, mut quoted) = (Vec::new(), Vec::new());
    for line in head {
        if line.starts_with('>') { quoted.push(*line) } else { new.push(*line) }
    }
    // Answers may stand between or below quoted lines; only a block without quote marks is all old.
    let marked = tail.iter().skip(1).any(|line| line.starts_with('>'));
    for line in tail.iter().skip(usize::from(marked)) {
        if marked && !line.starts_with('>') { new.push(*line) } else { quoted.push(*line) }
    }
    let new = new.join("\n").trim().to_owned();
    if new.is_empty() {
        return Split { new: text.to_owned(), quoted: String::new() };
    }
    Split { new, quoted: quoted.join("\n").trim().to_owned() }
}

fn is_forward(line: &str) -> bool {
    let lower = line.trim_matches(|c: char| c == '-' || c == '_' || c == ' ' || c == ':').to_lowercase();
    [
        "forwarded message",
        "weitergeleitete nachricht",
        "begin forwarded message",
        "message transféré",
        "mensaje reenviado",
        "messaggio inoltrato",
        "doorgestuurd bericht",
        "messaggio inoltrato",
    ]
    .contains(&lower.as_str())
}

/// "On … wrote:", "Am … schrieb …:", an Outlook header block, "-----Original Message-----".
fn begins_quote(line: &str, rest: &[&str]) -> bool {
    let line = line.trim();
    let lower = line.to_lowercase();
    let dashes = line.starts_with("--") || line.starts_with("__");
    let original = [
        "original message",
        "ursprüngliche nachricht",
        "originalnachricht",
        "message d'origine",
        "mensaje original",
        "messaggio originale",
        "oorspronkelijk bericht",
    ];
    if dashes && original.iter().any(|words| lower.contains(words)) {
        return true;
    }
    let attributed = lower.ends_with(':')
        && ["wrote", "schrieb", "a écrit", "escribió", "ha scritto", "schreef", "escreveu", "napisał", "skrev"]
            .iter()
            .any(|verb| lower.contains(verb));
    let next = rest.iter().find(|line| !line.trim().is_empty());
    if attributed || (next.is_some_and(|line| line.starts_with('>')) && ends_attribution(&lower)) {
        return true;
    }
    let begins_block = ["from:", "von:", "de :", "de:", "da:", "van:"].iter().any(|name| lower.starts_with(name));
    let block: Vec<String> = rest.iter().take(4).map(|line| line.trim().to_lowercase()).collect();
    let has = |names: &[&str]| block.iter().any(|line| names.iter().any(|name| line.starts_with(name)));
    begins_block
        && has(&["sent:", "gesendet:", "envoyé", "enviado", "inviato", "verzonden", "date:", "datum:"])
        && has(&[
            "to:",
            "an:",
            "à :",
            "à:",
            "para:",
            "a:",
            "aan:",
            "subject:",
            "betreff:",
            "objet",
            "asunto:",
            "oggetto:",
            "onderwerp:",
        ])
}

/// "Am 02.11.2026 um 09:14 schrieb Jürgen Pfeiffer" without its colon.
fn ends_attribution(lower: &str) -> bool {
    ["am ", "on ", "le ", "el ", "il ", "op "].iter().any(|word| lower.starts_with(word))
        && lower.chars().any(|c| c.is_ascii_digit())
}
