//! How mail programs begin a quote, in the languages of customers: "On … wrote:", a block of headers, a ruled line with words.

/// Lines that one attribution may be broken over.
const MOST_LINES: usize = 4;
/// Characters of an attribution; what is longer is a sentence of somebody's.
const MOST_CHARS: usize = 400;
/// Lines that are looked at for the headers of a block.
const BLOCK_LINES: usize = 8;

/// Words for "wrote", in lower case.
const WROTE: &[&str] = &[
    "wrote",
    "schrieb",
    "geschrieben",
    "a écrit",
    "escribió",
    "escribio",
    "ha scritto",
    "schreef",
    "geschreven",
    "escreveu",
    "napisał",
    "napisała",
    "napisał(a)",
    "pisze",
    "skrev",
    "ने लिखा",
    "ರಂದು ಬರೆದಿದ್ದಾರೆ",
    "ಬರೆದಿದ್ದಾರೆ",
    "ಬರೆದರು",
    "எழுதியது",
    "எழுதினார்",
    "ਨੇ ਲਿਖਿਆ",
];
/// Words that an attribution begins with when its verb is missing or unknown.
const ON: &[&str] =
    &["am ", "on ", "le ", "el ", "il ", "op ", "em ", "a ", "w dniu ", "dnia ", "den ", "pon., ", "wt., ", "śr., "];

const ORIGINAL: &[&str] = &[
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "originalnachricht",
    "message d'origine",
    "message d’origine",
    "message original",
    "mensaje original",
    "messaggio originale",
    "oorspronkelijk bericht",
    "mensagem original",
    "wiadomość oryginalna",
    "oryginalna wiadomość",
    "ursprungligt meddelande",
    "originalmeddelande",
    "oprindelig meddelelse",
    "मूल संदेश",
    "ಮೂಲ ಸಂದೇಶ",
    "அசல் செய்தி",
    "ਮੂਲ ਸੁਨੇਹਾ",
    "reply above this line",
    "antworten sie oberhalb dieser",
];

const FORWARD: &[&str] = &[
    "forwarded message",
    "begin forwarded message",
    "weitergeleitete nachricht",
    "anfang der weitergeleiteten nachricht",
    "message transféré",
    "début du message transféré",
    "début du message réexpédié",
    "mensaje reenviado",
    "inicio del mensaje reenviado",
    "messaggio inoltrato",
    "inizio messaggio inoltrato",
    "doorgestuurd bericht",
    "begin doorgestuurd bericht",
    "mensagem encaminhada",
    "início da mensagem encaminhada",
    "forwarded by",
    "wiadomość przekazana dalej",
    "początek przekazywanej wiadomości",
    "vidarebefordrat meddelande",
    "vidarebefordrat brev",
    "videresendt meddelelse",
    "अग्रेषित संदेश",
    "ಫಾರ್ವರ್ಡ್ ಮಾಡಿದ ಸಂದೇಶ",
    "முன்னனுப்பப்பட்ட செய்தி",
    "ਅੱਗੇ ਭੇਜਿਆ ਸੁਨੇਹਾ",
];

/// Names of headers as programs translate them, without colon: From, Sent or Date, To or Cc, Subject.
const HEADERS: [&[&str]; 4] = [
    &[
        "from",
        "von",
        "de",
        "da",
        "van",
        "od",
        "från",
        "fra",
        "प्रेषक",
        "से",
        "ಇಂದ",
        "ಕಳುಹಿಸಿದವರು",
        "அனுப்புநர்",
        "ਵੱਲੋਂ",
        "ਭੇਜਣ ਵਾਲਾ",
    ],
    &[
        "sent",
        "date",
        "gesendet",
        "datum",
        "envoyé",
        "enviado",
        "enviado el",
        "fecha",
        "inviato",
        "data",
        "verzonden",
        "wysłano",
        "skickat",
        "sendt",
        "dato",
        "enviada em",
        "भेजा गया",
        "दिनांक",
        "ಕಳುಹಿಸಲಾಗಿದೆ",
        "ದಿನಾಂಕ",
        "அனுப்பியது",
        "தேதி",
        "ਭੇਜਿਆ",
        "ਮਿਤੀ",
    ],
    &["to", "an", "à", "para", "a", "aan", "do", "till", "til", "cc", "kopie", "प्रति", "ಗೆ", "பெறுநர்", "ਨੂੰ", "ਪ੍ਰਤੀ"],
    &[
        "subject",
        "betreff",
        "objet",
        "asunto",
        "oggetto",
        "onderwerp",
        "assunto",
        "temat",
        "ämne",
        "emne",
        "विषय",
        "ವಿಷಯ",
        "பொருள்",
        "ਵਿਸ਼ਾ",
    ],
];

/// How many lines the head of a quote takes that begins with the first of these, if one does.
pub(super) fn of(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?.trim();
    if first.is_empty() {
        return None;
    }
    let plain = first.trim_matches(|c: char| "-_–—*=# :".contains(c)).to_lowercase();
    let is_ruled = first.starts_with(['-', '_', '–', '—', '*', '#', '=']);
    if is_ruled && plain.chars().count() < 60 && ORIGINAL.iter().any(|words| plain.contains(words)) {
        return Some(1);
    }
    // Outlook rules a line over its block.
    let is_rule = is_ruled && plain.is_empty() && first.len() >= 10;
    let ruled = usize::from(is_rule);
    let skipped = lines[ruled..].iter().take(2).take_while(|line| line.trim().is_empty()).count();
    block(&lines[(ruled + skipped).min(lines.len())..])
        .filter(|_| is_rule || skipped == 0)
        .map(|block| ruled + skipped + block)
        .or_else(|| attribution(lines))
}

/// Whether the line says that a forwarded mail follows.
pub(in super::super) fn is_forward(line: &str) -> bool {
    let plain = line.trim_matches(|c: char| "-_–—*=> :".contains(c)).to_lowercase();
    plain.chars().count() < 80 && FORWARD.iter().any(|words| plain.starts_with(words))
}

/// "On …, Anna <anna@…> wrote:", over several lines if it is long.
fn attribution(lines: &[&str]) -> Option<usize> {
    let mut text = String::new();
    for (count, line) in lines.iter().take(MOST_LINES).enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('>') {
            break;
        }
        text.push_str(if text.is_empty() { "" } else { " " });
        text.push_str(&line.to_lowercase());
        if text.chars().count() > MOST_CHARS {
            return None;
        }
        let next = lines[count + 1..].iter().take(3).find(|line| !line.trim().is_empty());
        let is_quoted = next.is_some_and(|line| line.trim_start().starts_with('>'));
        let says_who = text.contains('@') || text.chars().any(char::is_numeric) || is_quoted;
        let wrote = WROTE.iter().any(|verb| text.contains(verb));
        if text.ends_with(':') && says_who && wrote {
            return Some(count + 1);
        }
        let begins = ON.iter().any(|word| text.starts_with(word));
        if is_quoted && text.chars().any(|c| c.is_ascii_digit()) && begins && (text.ends_with(':') || wrote) {
            return Some(count + 1);
        }
        // Only a beginning that can become one is worth joining with what follows.
        if !begins && !text.contains('@') && !text.starts_with(|c: char| c.is_numeric()) {
            return None;
        }
    }
    None
}

/// "From: … Sent: … To: … Subject: …": From first, and two of the others soon after.
fn block(lines: &[&str]) -> Option<usize> {
    let which = |line: &str| {
        let (name, _) = line.trim_start_matches(['*', ' ', '\t']).split_once(':')?;
        let name = name.trim_end_matches(['*', ' ', '\u{a0}']).to_lowercase();
        HEADERS.iter().position(|names| names.contains(&name.as_str()))
    };
    if which(lines.first()?) != Some(0) {
        return None;
    }
    let mut found = [true, false, false, false];
    let mut last = 0;
    for (at, line) in lines.iter().enumerate().take(BLOCK_LINES).skip(1) {
        if let Some(which) = which(line) {
            found[which] = true;
            last = at;
        }
    }
    (found.iter().filter(|found| **found).count() >= 3).then_some(last + 1)
}
