//! A quote to look at: what the template makes of each language, without a customer.

use chrono::NaiveDate;
use postrider_shared::language::Language;
use postrider_shared::pricing::{Currency, Totals};
use rust_decimal::Decimal;

use super::{Customer, LineDimension, Logo, QuoteDocument, QuoteLine, Sender};

/// What differs from language to language. A real request mixes languages, so an English product is always among them.
struct Texts {
    customer: &'static str,
    subject: &'static str,
    products: [&'static str; 3],
    description: &'static str,
    material: &'static str,
    unit: &'static str,
    notes: &'static str,
}

/// A quote of this many lines in this language: in rupees for India's, in euros for others.
pub fn sample(language: Language, lines: usize) -> QuoteDocument {
    let texts = texts(language);
    let rupees = language.is_indian() || language == Language::English;
    let currency = if rupees { "INR".parse().unwrap_or(Currency::EUR) } else { Currency::EUR };
    let tax_rate = Decimal::new(18, 2);
    let lines: Vec<_> = (0..lines).map(|at| line(&texts, at, currency)).collect();
    let totals = Totals::of(lines.iter().map(|line| line.total), tax_rate, currency);
    let nothing = Totals { subtotal: Decimal::ZERO, tax_rate, tax: Decimal::ZERO, total: Decimal::ZERO };
    QuoteDocument {
        language,
        currency,
        number: "Q-00042".to_owned(),
        date: NaiveDate::from_ymd_opt(2026, 11, 21).unwrap_or_default(),
        valid_until: NaiveDate::from_ymd_opt(2026, 12, 21).unwrap_or_default(),
        sender: Sender {
            name: "Sharma Signs & Prints".to_owned(),
            details:
                "14 MG Road · Bengaluru 560001\n+91 80 5555 0199 · office@sharma-signs.example\nGSTIN 29ABCDE1234F1Z5"
                    .to_owned(),
            brand_color: "#7a1f5a".to_owned(),
            logo: Logo::new(LOGO.as_bytes().to_vec()).ok(),
        },
        customer: Customer { name: Some(texts.customer.to_owned()), address: "customer@shop.example".to_owned() },
        subject: Some(texts.subject.to_owned()),
        lines,
        totals: totals.unwrap_or(nothing),
        tax_label: if rupees { "GST" } else { "VAT" }.to_owned(),
        notes: Some(texts.notes.to_owned()),
    }
}

fn line(texts: &Texts, at: usize, currency: Currency) -> QuoteLine {
    let dimension = |name: &str, value: i64| LineDimension {
        name: name.to_owned(),
        value: Decimal::new(value, 0),
        unit: "mm".to_owned(),
    };
    let step = i64::try_from(at).unwrap_or_default();
    let quantity = Decimal::new(2 + step % 40, 0);
    let unit_price = Decimal::new(4_999_950 + 1_250 * step, 2);
    let sized = at.is_multiple_of(2);
    QuoteLine {
        name: texts.products[at % texts.products.len()].to_owned(),
        sku: Some(format!("SIGN-{:03}", at + 1)),
        description: at.is_multiple_of(5).then(|| texts.description.to_owned()),
        dimensions: if sized { vec![dimension("width", 1_200), dimension("height", 800)] } else { Vec::new() },
        material: sized.then(|| texts.material.to_owned()),
        quantity,
        unit_label: texts.unit.to_owned(),
        unit_price,
        total: currency.round(unit_price * quantity),
    }
}

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 220 60"><rect width="60" height="60" rx="12" fill="#7a1f5a"/><path d="M14 44 L30 14 L46 44 Z" fill="white"/><rect x="74" y="18" width="140" height="10" fill="#1c2127"/><rect x="74" y="36" width="90" height="8" fill="#9aa3ad"/></svg>"##;

fn texts(language: Language) -> Texts {
    match language {
        Language::English
        | Language::German
        | Language::French
        | Language::Spanish
        | Language::Italian
        | Language::Dutch => Texts {
            customer: "திருமதி. ஸ்ரீவித்யா Krishnan",
            subject: "Signboard for our shop",
            products: ["Aluminium signboard", "Vinyl sticker, cut to shape", "LED backlit letters"],
            description: "Printed in full colour, laminated, with holes for screws; the sizes are those of the board.",
            material: "Aluminium 3 mm",
            unit: "pcs",
            notes: "Delivery within 10 working days. Payment: 50% in advance.",
        },
        Language::Hindi => Texts {
            customer: "श्रीमती लक्ष्मी त्रिपाठी",
            subject: "दुकान के लिए साइन बोर्ड का कोटेशन",
            products: ["एल्युमिनियम साइन बोर्ड", "विनाइल स्टिकर, आकृति में कटा हुआ", "LED backlit letters"],
            description: "पूर्ण रंगीन छपाई, लैमिनेशन सहित, स्क्रू के लिए छेद के साथ; माप बोर्ड के क्षेत्रफल के अनुसार हैं।",
            material: "एल्युमिनियम 3 mm",
            unit: "नग",
            notes: "डिलीवरी 10 कार्य दिवसों में। भुगतान: 50% अग्रिम।",
        },
        Language::Kannada => Texts {
            customer: "ಶ್ರೀ ಕೃಷ್ಣಮೂರ್ತಿ ಹೆಗ್ಗಡೆ",
            subject: "ಅಂಗಡಿಯ ನಾಮಫಲಕಕ್ಕೆ ದರಪಟ್ಟಿ",
            products: ["ಅಲ್ಯೂಮಿನಿಯಂ ನಾಮಫಲಕ", "ವಿನೈಲ್ ಸ್ಟಿಕ್ಕರ್, ಆಕಾರಕ್ಕೆ ಕತ್ತರಿಸಿದ್ದು", "LED backlit letters"],
            description: "ಪೂರ್ಣ ವರ್ಣ ಮುದ್ರಣ, ಲ್ಯಾಮಿನೇಷನ್ ಸಹಿತ, ಸ್ಕ್ರೂಗಳಿಗೆ ರಂಧ್ರಗಳೊಂದಿಗೆ; ಅಳತೆಗಳು ಫಲಕದ ಗಾತ್ರಕ್ಕೆ ಅನುಗುಣವಾಗಿವೆ.",
            material: "ಅಲ್ಯೂಮಿನಿಯಂ 3 mm",
            unit: "ತುಂಡು",
            notes: "10 ಕೆಲಸದ ದಿನಗಳಲ್ಲಿ ವಿತರಣೆ. ಪಾವತಿ: 50% ಮುಂಗಡ.",
        },
        Language::Tamil => Texts {
            customer: "திருமதி. ஸ்ரீவித்யா கிருஷ்ணன்",
            subject: "கடைப் பெயர்ப்பலகைக்கு விலைப்புள்ளி",
            products: ["அலுமினியப் பெயர்ப்பலகை", "வினைல் ஒட்டுத்தாள், வடிவத்திற்கு வெட்டியது", "LED backlit letters"],
            description: "முழு வண்ண அச்சு, லேமினேஷனுடன், திருகுகளுக்கான துளைகளுடன்; அளவுகள் பலகையின் அளவைக் குறிக்கின்றன.",
            material: "அலுமினியம் 3 mm",
            unit: "எண்ணம்",
            notes: "10 வேலை நாட்களில் விநியோகம். கட்டணம்: 50% முன்பணம்.",
        },
        Language::Punjabi => Texts {
            customer: "ਸ੍ਰੀ ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ ਢਿੱਲੋਂ",
            subject: "ਦੁਕਾਨ ਦੇ ਸਾਈਨ ਬੋਰਡ ਲਈ ਕੋਟੇਸ਼ਨ",
            products: ["ਐਲੂਮੀਨੀਅਮ ਸਾਈਨ ਬੋਰਡ", "ਵਿਨਾਇਲ ਸਟਿੱਕਰ, ਆਕਾਰ ਵਿੱਚ ਕੱਟਿਆ ਹੋਇਆ", "LED backlit letters"],
            description: "ਪੂਰੀ ਰੰਗੀਨ ਛਪਾਈ, ਲੈਮੀਨੇਸ਼ਨ ਸਮੇਤ, ਪੇਚਾਂ ਲਈ ਛੇਕਾਂ ਦੇ ਨਾਲ; ਮਾਪ ਬੋਰਡ ਦੇ ਆਕਾਰ ਅਨੁਸਾਰ ਹਨ।",
            material: "ਐਲੂਮੀਨੀਅਮ 3 mm",
            unit: "ਨਗ",
            notes: "10 ਕੰਮਕਾਜੀ ਦਿਨਾਂ ਵਿੱਚ ਡਿਲੀਵਰੀ। ਭੁਗਤਾਨ: 50% ਪੇਸ਼ਗੀ।",
        },
    }
}
