//! Signatures under the new text. Only what is surely one is taken away, and never a line that may hold a position.

use super::Kind;

/// Lines of a signature under its delimiter.
const MOST_LINES: usize = 15;
/// Lines of contact data under a closing.
const MOST_CONTACT: usize = 10;
const SHORT: usize = 90;

/// What telephones and their programs write under every mail.
const DEVICES: &[&str] = &[
    "sent from my",
    "sent from mail for",
    "sent from outlook",
    "sent from yahoo",
    "sent from samsung",
    "sent via",
    "sent with proton",
    "sent using",
    "get outlook for",
    "von meinem",
    "gesendet von",
    "gesendet mit der",
    "diese nachricht wurde von meinem",
    "outlook für android",
    "outlook für ios",
    "holen sie sich outlook",
    "envoyé de mon",
    "envoyé depuis",
    "envoyé à partir",
    "obtenir outlook",
    "télécharger outlook",
    "enviado desde",
    "obtener outlook",
    "inviato da",
    "scarica outlook",
    "ottieni outlook",
    "verstuurd vanaf",
    "verzonden vanaf",
    "verzonden met",
    "outlook voor",
    "मेरे iphone",
    "android के लिए outlook",
    "ನನ್ನ iphone",
    "எனது iphone",
    "ਮੇਰੇ iphone",
    "enviado do meu",
    "obter o outlook",
    "wysłane z",
    "wysłano z",
    "pobierz outlook",
    "skickat från",
    "hämta outlook",
    "sendt fra min",
    "hent outlook",
];

/// Closings, after which come a name and contact data.
const CLOSINGS: &[&str] = &[
    "kind regards",
    "best regards",
    "regards",
    "warm regards",
    "best wishes",
    "many thanks",
    "yours sincerely",
    "sincerely",
    "cheers",
    "mit freundlichen grüßen",
    "freundliche grüße",
    "viele grüße",
    "beste grüße",
    "liebe grüße",
    "schöne grüße",
    "mfg",
    "gruß",
    "cordialement",
    "bien cordialement",
    "salutations",
    "bien à vous",
    "saludos",
    "un saludo",
    "atentamente",
    "cordiali saluti",
    "distinti saluti",
    "saluti",
    "met vriendelijke groet",
    "vriendelijke groet",
    "groeten",
    "सादर",
    "धन्यवाद",
    "ವಂದನೆಗಳು",
    "ವಂದನೆಗಳೊಂದಿಗೆ",
    "ಧನ್ಯವಾದಗಳು",
    "நன்றி",
    "இப்படிக்கு",
    "அன்புடன்",
    "ਧੰਨਵਾਦ",
    "ਆਦਰ ਸਹਿਤ",
    "atenciosamente",
    "cumprimentos",
    "pozdrawiam",
    "z poważaniem",
    "med vänliga hälsningar",
    "vänliga hälsningar",
    "hälsningar",
    "med venlig hilsen",
    "venlig hilsen",
    "mvh",
];

/// Words beside numbers that are no positions.
const CONTACT: &[&str] = &[
    "tel",
    "telefon",
    "telephone",
    "teléfono",
    "téléphone",
    "telefono",
    "telefoon",
    "phone",
    "fon",
    "fax",
    "mobil",
    "mobile",
    "mob",
    "cell",
    "handy",
    "ust",
    "ust-id",
    "ust-idnr",
    "vat",
    "iban",
    "bic",
    "hrb",
    "gst",
    "gstin",
    "kvk",
    "siret",
    "p.iva",
    "nif",
    "cif",
    "nip",
    "regon",
];

/// Marks the signatures in each stretch of new lines.
pub(super) fn mark(lines: &[&str], kinds: &mut [Kind]) {
    let mut at = 0;
    while at < lines.len() {
        let len = kinds[at..].iter().take_while(|kind| **kind == Kind::New).count();
        if let Some(begin) = begin(&lines[at..at + len]) {
            kinds[at + begin..at + len].fill(Kind::Signature);
        }
        for (line, kind) in lines[at..at + len].iter().zip(&mut kinds[at..]) {
            if is_device(line) {
                *kind = Kind::Signature;
            }
        }
        at += len.max(1);
    }
}

/// Where the signature begins in a stretch of text.
fn begin(lines: &[&str]) -> Option<usize> {
    let harmless = |rest: &[&str], most: usize| {
        let used = rest.iter().filter(|line| !line.trim().is_empty());
        used.clone().count() <= most && !used.clone().any(|line| may_be_a_position(line))
    };
    if let Some(at) = lines.iter().position(|line| matches!(line.trim_end(), "--" | "—")).filter(|at| *at > 0) {
        return harmless(&lines[at + 1..], MOST_LINES).then_some(at);
    }
    let closing = lines.iter().rposition(|line| is_closing(line))?;
    // The name stays: it says who asks.
    let named = lines[closing + 1..].iter().position(|line| !line.trim().is_empty())? + closing + 2;
    let contact = lines.get(named..).filter(|rest| rest.iter().any(|line| !line.trim().is_empty()))?;
    let short = contact.iter().all(|line| line.chars().count() <= SHORT);
    (short && harmless(contact, MOST_CONTACT)).then_some(named)
}

fn is_closing(line: &str) -> bool {
    let line = line.trim().trim_end_matches([',', '.', '!', ':']).to_lowercase();
    CLOSINGS.contains(&line.as_str())
}

fn is_device(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    line.chars().count() <= SHORT && DEVICES.iter().any(|words| line.starts_with(words)) && !may_be_a_position(&line)
}

/// Whether a line may say how many or how large: a number beside a unit, a times sign or words, and not in a list of telephone
/// numbers. In doubt it may.
fn may_be_a_position(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    if !line.chars().any(char::is_numeric) {
        return false;
    }
    // A postal code and a place, a street and its number: one or two numbers, and no unit.
    let units = [
        "mm", "cm", "m", "m2", "m²", "qm", "ft", "in", "\"", "inch", "x", "×", "*", "stk", "stück", "st", "pcs", "pc",
        "pieces", "pièces", "piezas", "uds", "ud", "pezzi", "pz", "stuks", "peças", "szt", "st.", "stk.", "kg", "l",
        "a4", "a3", "a2", "a1", "%", "€", "$", "₹",
    ];
    let words: Vec<&str> =
        line.split(|c: char| c.is_whitespace() || ",;:()/".contains(c)).filter(|word| !word.is_empty()).collect();
    let is_contact = |word: &str| {
        CONTACT.contains(&word.trim_end_matches('.'))
            || word.contains('@')
            || word.starts_with("www.")
            || word.starts_with("http")
    };
    if words.iter().any(|word| is_contact(word)) || line.starts_with('+') {
        return false;
    }
    let is_number = |word: &str| word.starts_with(char::is_numeric);
    let glued = |word: &str| {
        let rest = word.trim_start_matches(|c: char| c.is_numeric() || c == '.' || c == ',');
        is_number(word) && units.contains(&rest)
    };
    let sized = |word: &str| word.split(['x', '×', '*']).filter(|part| part.parse::<f64>().is_ok()).count() >= 2;
    words.iter().any(|word| glued(word) || sized(word))
        || words.windows(2).any(|pair| is_number(pair[0]) && units.contains(&pair[1]))
        // "12 Banner": a small number first.
        || (words.len() >= 2 && is_number(words[0]) && words[0].chars().count() <= 3)
}
