//! The fixed words of a quote in the languages we speak.

use postrider_shared::language::Language;

pub(super) struct Words {
    pub(super) quote: &'static str,
    pub(super) number: &'static str,
    pub(super) date: &'static str,
    pub(super) valid_until: &'static str,
    /// The last day as it stands beside `valid_until`.
    pub(super) until: &'static str,
    pub(super) prepared_for: &'static str,
    pub(super) your_request: &'static str,
    pub(super) item: &'static str,
    pub(super) quantity: &'static str,
    pub(super) unit_price: &'static str,
    pub(super) amount: &'static str,
    pub(super) subtotal: &'static str,
    pub(super) total: &'static str,
    pub(super) notes: &'static str,
    pub(super) material: &'static str,
    /// Between them stands the page's number, after them the last one's.
    pub(super) page: [&'static str; 2],
    pub(super) terms: &'static str,
}

#[rustfmt::skip]
pub(super) fn words(language: Language) -> Words {
    match language {
        Language::English => Words {
            quote: "Quote", number: "Number", date: "Date", valid_until: "Valid until", until: "{date}", prepared_for: "Prepared for", your_request: "Your request",
            item: "Item", quantity: "Quantity", unit_price: "Unit price", amount: "Amount", subtotal: "Subtotal", total: "Total",
            notes: "Notes", material: "Material", page: ["Page", "of"],
            terms: "All amounts are in {currency}. This quote is valid until {date}.",
        },
        Language::Hindi => Words {
            quote: "कोटेशन", number: "क्रमांक", date: "दिनांक", valid_until: "वैधता", until: "{date} तक", prepared_for: "सेवा में", your_request: "आपका अनुरोध",
            item: "विवरण", quantity: "मात्रा", unit_price: "इकाई मूल्य", amount: "राशि", subtotal: "उप-योग", total: "कुल राशि",
            notes: "टिप्पणी", material: "सामग्री", page: ["पृष्ठ", "/"],
            terms: "सभी राशियाँ {currency} में हैं। यह कोटेशन {date} तक मान्य है।",
        },
        Language::Kannada => Words {
            quote: "ದರಪಟ್ಟಿ", number: "ಸಂಖ್ಯೆ", date: "ದಿನಾಂಕ", valid_until: "ಮಾನ್ಯತೆ", until: "{date} ರವರೆಗೆ", prepared_for: "ಇವರಿಗೆ", your_request: "ನಿಮ್ಮ ಕೋರಿಕೆ",
            item: "ವಿವರ", quantity: "ಪ್ರಮಾಣ", unit_price: "ಘಟಕ ದರ", amount: "ಮೊತ್ತ", subtotal: "ಉಪಮೊತ್ತ", total: "ಒಟ್ಟು ಮೊತ್ತ",
            notes: "ಟಿಪ್ಪಣಿಗಳು", material: "ಸಾಮಗ್ರಿ", page: ["ಪುಟ", "/"],
            terms: "ಎಲ್ಲಾ ಮೊತ್ತಗಳು {currency} ನಲ್ಲಿವೆ. ಈ ದರಪಟ್ಟಿಯು {date} ರವರೆಗೆ ಮಾನ್ಯವಾಗಿರುತ್ತದೆ.",
        },
        Language::Tamil => Words {
            quote: "விலைப்புள்ளி", number: "எண்", date: "தேதி", valid_until: "செல்லுபடி", until: "{date} வரை", prepared_for: "பெறுநர்", your_request: "உங்கள் கோரிக்கை",
            item: "விவரம்", quantity: "அளவு", unit_price: "அலகு விலை", amount: "தொகை", subtotal: "துணைத் தொகை", total: "மொத்தம்",
            notes: "குறிப்புகள்", material: "மூலப்பொருள்", page: ["பக்கம்", "/"],
            terms: "அனைத்துத் தொகைகளும் {currency} மதிப்பில் உள்ளன. இந்த விலைப்புள்ளி {date} வரை செல்லுபடியாகும்.",
        },
        Language::Punjabi => Words {
            quote: "ਕੋਟੇਸ਼ਨ", number: "ਨੰਬਰ", date: "ਮਿਤੀ", valid_until: "ਮਿਆਦ", until: "{date} ਤੱਕ", prepared_for: "ਸੇਵਾ ਵਿਖੇ", your_request: "ਤੁਹਾਡੀ ਬੇਨਤੀ",
            item: "ਵੇਰਵਾ", quantity: "ਮਾਤਰਾ", unit_price: "ਇਕਾਈ ਕੀਮਤ", amount: "ਰਕਮ", subtotal: "ਉਪ-ਜੋੜ", total: "ਕੁੱਲ ਰਕਮ",
            notes: "ਨੋਟ", material: "ਸਮੱਗਰੀ", page: ["ਪੰਨਾ", "/"],
            terms: "ਸਾਰੀਆਂ ਰਕਮਾਂ {currency} ਵਿੱਚ ਹਨ। ਇਹ ਕੋਟੇਸ਼ਨ {date} ਤੱਕ ਵੈਧ ਹੈ।",
        },
        Language::German => Words {
            quote: "Angebot", number: "Nummer", date: "Datum", valid_until: "Gültig bis", until: "{date}", prepared_for: "Für", your_request: "Ihre Anfrage",
            item: "Position", quantity: "Menge", unit_price: "Einzelpreis", amount: "Betrag", subtotal: "Zwischensumme", total: "Gesamtbetrag",
            notes: "Hinweise", material: "Material", page: ["Seite", "von"],
            terms: "Alle Beträge in {currency}. Dieses Angebot gilt bis zum {date}.",
        },
        Language::French => Words {
            quote: "Devis", number: "Numéro", date: "Date", valid_until: "Valable jusqu’au", until: "{date}", prepared_for: "À l’attention de", your_request: "Votre demande",
            item: "Désignation", quantity: "Quantité", unit_price: "Prix unitaire", amount: "Montant", subtotal: "Sous-total", total: "Total",
            notes: "Remarques", material: "Matériau", page: ["Page", "sur"],
            terms: "Tous les montants sont en {currency}. Ce devis est valable jusqu’au {date}.",
        },
        Language::Spanish => Words {
            quote: "Presupuesto", number: "Número", date: "Fecha", valid_until: "Válido hasta", until: "{date}", prepared_for: "Para", your_request: "Su solicitud",
            item: "Concepto", quantity: "Cantidad", unit_price: "Precio unitario", amount: "Importe", subtotal: "Subtotal", total: "Total",
            notes: "Observaciones", material: "Material", page: ["Página", "de"],
            terms: "Todos los importes están en {currency}. Este presupuesto es válido hasta el {date}.",
        },
        Language::Italian => Words {
            quote: "Preventivo", number: "Numero", date: "Data", valid_until: "Valido fino al", until: "{date}", prepared_for: "Spett.le", your_request: "La Sua richiesta",
            item: "Descrizione", quantity: "Quantità", unit_price: "Prezzo unitario", amount: "Importo", subtotal: "Subtotale", total: "Totale",
            notes: "Note", material: "Materiale", page: ["Pagina", "di"],
            terms: "Tutti gli importi sono in {currency}. Il presente preventivo è valido fino al {date}.",
        },
        Language::Dutch => Words {
            quote: "Offerte", number: "Nummer", date: "Datum", valid_until: "Geldig tot", until: "{date}", prepared_for: "Voor", your_request: "Uw aanvraag",
            item: "Omschrijving", quantity: "Aantal", unit_price: "Stukprijs", amount: "Bedrag", subtotal: "Subtotaal", total: "Totaal",
            notes: "Opmerkingen", material: "Materiaal", page: ["Pagina", "van"],
            terms: "Alle bedragen in {currency}. Deze offerte is geldig tot en met {date}.",
        },
    }
}

/// The usual names of dimensions; others are shown as the tenant wrote them.
#[rustfmt::skip]
pub(super) fn dimension(language: Language, name: &str) -> Option<&'static str> {
    const NAMES: [&str; 7] = ["width", "height", "length", "depth", "thickness", "diameter", "weight"];
    let index = NAMES.iter().position(|known| *known == name)?;
    let names = match language {
        Language::English => ["Width", "Height", "Length", "Depth", "Thickness", "Diameter", "Weight"],
        Language::Hindi => ["चौड़ाई", "ऊँचाई", "लंबाई", "गहराई", "मोटाई", "व्यास", "वज़न"],
        Language::Kannada => ["ಅಗಲ", "ಎತ್ತರ", "ಉದ್ದ", "ಆಳ", "ದಪ್ಪ", "ವ್ಯಾಸ", "ತೂಕ"],
        Language::Tamil => ["அகலம்", "உயரம்", "நீளம்", "ஆழம்", "தடிமன்", "விட்டம்", "எடை"],
        Language::Punjabi => ["ਚੌੜਾਈ", "ਉਚਾਈ", "ਲੰਬਾਈ", "ਡੂੰਘਾਈ", "ਮੋਟਾਈ", "ਵਿਆਸ", "ਵਜ਼ਨ"],
        Language::German => ["Breite", "Höhe", "Länge", "Tiefe", "Stärke", "Durchmesser", "Gewicht"],
        Language::French => ["Largeur", "Hauteur", "Longueur", "Profondeur", "Épaisseur", "Diamètre", "Poids"],
        Language::Spanish => ["Ancho", "Alto", "Largo", "Profundidad", "Espesor", "Diámetro", "Peso"],
        Language::Italian => ["Larghezza", "Altezza", "Lunghezza", "Profondità", "Spessore", "Diametro", "Peso"],
        Language::Dutch => ["Breedte", "Hoogte", "Lengte", "Diepte", "Dikte", "Diameter", "Gewicht"],
    };
    names.get(index).copied()
}
