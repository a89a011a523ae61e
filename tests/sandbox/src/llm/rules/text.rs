//! The part of a mail that its sender wrote: without quoted mail, signature and forwarding headers.

use super::fold::fold;
use super::phrases::CLOSINGS;

/// A line to be read, with its place in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
}

/// Longer mails are read so far.
const MAX_BYTES: usize = 100_000;

/// The lines that count. Empty lines are kept: they separate paragraphs.
pub(super) fn own_lines(text: &str) -> Vec<Line<'_>> {
    let lines = lines(text);
    let mut own: Vec<Line<'_>> = Vec::new();
    let (mut closed, mut at) = (false, 0);
    while let Some(line) = lines.get(at) {
        let folded = fold(line.text.trim());
        let headers = header_block(&lines[at..]);
        if forwards(&folded) || headers > 0 {
            // What was forwarded counts; what was answered does not, and answers stand above what they answer.
            if headers > 0
                && !forwarded_before(&lines[..at])
                && own.iter().any(|line| line.text.split_whitespace().count() > 3)
            {
                break;
            }
            closed = false;
            at += headers.max(1);
            continue;
        }
        at += 1;
        if attribution(&folded, lines.get(at)) {
            closed = true;
        }
        if folded.starts_with('>') || folded.starts_with('|') && folded.ends_with("wrote:") {
            continue;
        }
        closed = closed || closes(&folded);
        if !closed {
            own.push(*line);
        }
    }
    own
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if start > MAX_BYTES {
            break;
        }
        lines.push(Line { text: line.trim_end_matches(['\r', '\n']), start });
        start += line.len();
    }
    lines
}

fn forwards(line: &str) -> bool {
    let dashes = line.starts_with("---");
    dashes
        && ["forward", "weitergeleitet", "transfer", "reenviad", "doorgestuurd", "inoltrat", "encaminhad", "przekazan"]
            .iter()
            .any(|word| line.contains(word))
}

fn forwarded_before(lines: &[Line<'_>]) -> bool {
    lines.iter().rev().take(3).any(|line| forwards(&fold(line.text.trim())))
}

/// How many lines at the start are the header of another mail: three or more of From, Date, Subject and To.
fn header_block(lines: &[Line<'_>]) -> usize {
    const NAMES: [&str; 26] = [
        "from",
        "sent",
        "date",
        "subject",
        "to",
        "cc",
        "von",
        "gesendet",
        "datum",
        "betreff",
        "an",
        "de",
        "envoye",
        "objet",
        "a",
        "enviado",
        "asunto",
        "para",
        "van",
        "verzonden",
        "onderwerp",
        "aan",
        "da",
        "inviato",
        "oggetto",
        "od",
    ];
    let is_header = |line: &Line<'_>| {
        fold(line.text).split_once(':').is_some_and(|(name, _)| NAMES.contains(&name.trim().trim_matches('*')))
    };
    let count = lines.iter().take_while(|line| is_header(line)).count();
    if count >= 3 { count } else { 0 }
}

/// `On … Anna wrote:`, also over two lines: what follows is quoted.
fn attribution(line: &str, next: Option<&Line<'_>>) -> bool {
    const WROTE: [&str; 11] = [
        "wrote:",
        "schrieb",
        "a ecrit",
        "escribio",
        "schreef",
        "ha scritto",
        "escreveu",
        "pisze:",
        "napisal",
        "skrev",
        "ने लिखा",
    ];
    const STARTS: [&str; 12] =
        ["on ", "am ", "le ", "el ", "op ", "il ", "em ", "w dniu ", "den ", "dnia ", "von ", "a "];
    let has_number = line.bytes().any(|byte| byte.is_ascii_digit());
    let ends = |text: &str| {
        text.trim_end().ends_with(':') && WROTE.iter().any(|word| text.contains(word.trim_end_matches(':')))
    };
    STARTS.iter().any(|start| line.starts_with(start))
        && has_number
        && (ends(line) || next.is_some_and(|next| ends(&fold(next.text))))
}

fn closes(line: &str) -> bool {
    if matches!(line, "--" | "-- " | "__" | "___") {
        return true;
    }
    let words = line.split_whitespace().count();
    CLOSINGS.iter().any(|closing| line.starts_with(closing))
        && words <= 7
        && !line.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> String {
        own_lines(text).iter().map(|line| line.text).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    #[test]
    fn answers_lose_what_they_quote_and_their_signature() {
        assert_eq!(own("Yes\n\nOn 3 May 2026, Bob wrote:\n> 5 signs\nmore quoted"), "Yes");
        assert_eq!(own("Ja bitte\n\nMit freundlichen Grüßen\nAnna\nTel. 5"), "Ja bitte");
        assert_eq!(own("3 signs please\n--\n12 High Street"), "3 signs please");
        assert_eq!(
            own("Please go on with it now\n\nFrom: Bob\nSent: today\nTo: Anna\nSubject: x\n\n9 signs"),
            "Please go on with it now"
        );
    }

    #[test]
    fn forwarded_mail_is_read() {
        let text = "See below\nRegards\nAnna\n---------- Forwarded message ---------\nFrom: Bob\nDate: x\nSubject: y\nTo: z\n\n5 signs";
        assert_eq!(own(text), "See below\n\n5 signs");
    }
}
