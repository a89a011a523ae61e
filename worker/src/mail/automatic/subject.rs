//! Subjects that programs give to notes of absence and other automatic replies, in many languages. Such a subject alone proves
//! nothing: people write about automatic doors.

/// How they begin, in lower case.
const BEGINNINGS: &[&str] = &[
    // English
    "automatic reply",
    "auto reply",
    "auto-reply",
    "autoreply",
    "auto response",
    "auto-response",
    "autoresponse",
    "auto:",
    "out of office",
    "out of the office",
    "out-of-office",
    "vacation reply",
    "vacation response",
    // German
    "automatische antwort",
    "automatische rückantwort",
    "automatische abwesenheit",
    "abwesenheitsnotiz",
    "abwesenheitsbenachrichtigung",
    "abwesenheitsmeldung",
    "ich bin nicht im büro",
    // French
    "réponse automatique",
    "reponse automatique",
    "absence du bureau",
    "absent du bureau",
    "message d'absence",
    // Spanish
    "respuesta automática",
    "respuesta automatica",
    "fuera de la oficina",
    "fuera de oficina",
    // Italian
    "risposta automatica",
    "fuori sede",
    "fuori ufficio",
    "risposta non al computer",
    // Dutch
    "automatisch antwoord",
    "automatische reactie",
    "afwezigheidsbericht",
    "niet aanwezig:",
    // Hindi, Kannada, Tamil, Punjabi
    "स्वचालित उत्तर",
    "स्वत: उत्तर",
    "स्वतः उत्तर",
    "कार्यालय से बाहर",
    "ಸ್ವಯಂಚಾಲಿತ ಉತ್ತರ",
    "ಸ್ವಯಂಚಾಲಿತ ಪ್ರತ್ಯುತ್ತರ",
    "ಕಚೇರಿಯಿಂದ ಹೊರಗೆ",
    "தானியங்கு பதில்",
    "தானியங்கி பதில்",
    "அலுவலகத்திற்கு வெளியே",
    "ਆਟੋਮੈਟਿਕ ਜਵਾਬ",
    "ਸਵੈਚਲਿਤ ਜਵਾਬ",
    "ਦਫ਼ਤਰ ਤੋਂ ਬਾਹਰ",
    // Portuguese
    "resposta automática",
    "resposta automatica",
    "fora do escritório",
    "ausência temporária",
    // Polish
    "odpowiedź automatyczna",
    "automatyczna odpowiedź",
    "autoodpowiedź",
    "nieobecność w biurze",
    "poza biurem",
    // Swedish and Danish
    "autosvar",
    "automatiskt svar",
    "frånvaromeddelande",
    "automatisk svar",
    "fraværsbesked",
    "fraværsmeddelelse",
];

/// Whether a program's note of absence would have this subject. An answer to such a note begins with "Re:" and is a person's.
pub(super) fn is_absence(subject: &str) -> bool {
    // Gateways mark what comes from outside.
    let subject =
        subject.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(subject, |(_, rest)| rest);
    let start: String = subject.trim_start_matches(|c: char| !c.is_alphanumeric()).chars().take(80).collect();
    let start = start.to_lowercase();
    BEGINNINGS.iter().any(|beginning| start.starts_with(beginning))
}
