//! Number words by language, folded: `word=value`. A value of 100 or 1000 multiplies what stands before it, as does a
//! dozen; `~` marks articles, which are weak.

use super::super::token::{Kind, Token};
use super::Found;

const WORDS: [(&str, &str); 10] = [
    (
        "de",
        "ein~1 eine~1 einen~1 einem~1 einer~1 eins=1 zwei=2 zwo=2 drei=3 vier=4 funf=5 fuenf=5 sechs=6 sieben=7 acht=8 neun=9 zehn=10 elf=11 \
         zwolf=12 zwoelf=12 dreizehn=13 vierzehn=14 funfzehn=15 sechzehn=16 siebzehn=17 achtzehn=18 neunzehn=19 zwanzig=20 dreissig=30 \
         vierzig=40 funfzig=50 fuenfzig=50 sechzig=60 siebzig=70 achtzig=80 neunzig=90 hundert=100 tausend=1000 dutzend=12",
    ),
    (
        "en",
        "a~1 an~1 one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 twelve=12 thirteen=13 fourteen=14 fifteen=15 \
         sixteen=16 seventeen=17 eighteen=18 nineteen=19 twenty=20 thirty=30 forty=40 fifty=50 sixty=60 seventy=70 eighty=80 ninety=90 \
         hundred=100 thousand=1000 dozen=12",
    ),
    (
        "fr",
        "un~1 une~1 deux=2 trois=3 quatre=4 cinq=5 six=6 sept=7 huit=8 neuf=9 dix=10 onze=11 douze=12 treize=13 quatorze=14 quinze=15 seize=16 \
         vingt=20 vingts=20 trente=30 quarante=40 cinquante=50 soixante=60 cent=100 cents=100 mille=1000 dizaine=10 douzaine=12 quinzaine=15 \
         vingtaine=20 cinquantaine=50 centaine=100",
    ),
    (
        "es",
        "un~1 una~1 uno=1 dos=2 tres=3 cuatro=4 cinco=5 seis=6 siete=7 ocho=8 nueve=9 diez=10 once=11 doce=12 trece=13 catorce=14 quince=15 \
         veinte=20 veinticinco=25 treinta=30 cuarenta=40 cincuenta=50 sesenta=60 setenta=70 ochenta=80 noventa=90 cien=100 ciento=100 \
         doscientos=200 doscientas=200 trescientos=300 trescientas=300 cuatrocientos=400 cuatrocientas=400 quinientos=500 quinientas=500 \
         mil=1000 docena=12",
    ),
    (
        "nl",
        "een~1 twee=2 drie=3 vier=4 vijf=5 zes=6 zeven=7 acht=8 negen=9 tien=10 elf=11 twaalf=12 dertien=13 veertien=14 vijftien=15 zestien=16 \
         zeventien=17 achttien=18 negentien=19 twintig=20 dertig=30 veertig=40 vijftig=50 zestig=60 zeventig=70 tachtig=80 negentig=90 \
         honderd=100 duizend=1000 dozijn=12",
    ),
    (
        "it",
        "un~1 uno~1 una~1 due=2 tre=3 quattro=4 cinque=5 sei=6 sette=7 otto=8 nove=9 dieci=10 undici=11 dodici=12 tredici=13 quattordici=14 \
         quindici=15 sedici=16 diciassette=17 diciotto=18 diciannove=19 venti=20 trenta=30 quaranta=40 cinquanta=50 sessanta=60 settanta=70 \
         ottanta=80 novanta=90 cento=100 mille=1000 mila=1000 decina=10 dozzina=12 ventina=20 centinaio=100",
    ),
    (
        "pt",
        "um~1 uma~1 dois=2 duas=2 tres=3 quatro=4 cinco=5 seis=6 sete=7 oito=8 nove=9 dez=10 onze=11 doze=12 treze=13 catorze=14 quinze=15 \
         vinte=20 trinta=30 quarenta=40 cinquenta=50 sessenta=60 setenta=70 oitenta=80 noventa=90 cem=100 cento=100 duzentos=200 duzentas=200 \
         trezentos=300 trezentas=300 quinhentos=500 quinhentas=500 mil=1000 duzia=12",
    ),
    (
        "pl",
        "jeden=1 jedna=1 jedno=1 jednego=1 jednej=1 jednym=1 dwa=2 dwie=2 dwoch=2 dwu=2 trzy=3 trzech=3 cztery=4 czterech=4 piec=5 pieciu=5 \
         szesc=6 szesciu=6 siedem=7 siedmiu=7 osiem=8 osmiu=8 dziewiec=9 dziewieciu=9 dziesiec=10 dziesieciu=10 jedenascie=11 dwanascie=12 \
         dwunastu=12 pietnascie=15 pietnastu=15 dwadziescia=20 dwudziestu=20 trzydziesci=30 piecdziesiat=50 piecdziesieciu=50 sto=100 stu=100 \
         dwiescie=200 dwustu=200 trzysta=300 trzystu=300 czterysta=400 czterystu=400 piecset=500 pieciuset=500 tysiac=1000 tysiaca=1000 \
         tysiace=1000 tysiecy=1000 tuzin=12",
    ),
    (
        "sv",
        "en~1 ett~1 tva=2 tre=3 fyra=4 fem=5 sex=6 sju=7 atta=8 nio=9 tio=10 elva=11 tolv=12 femton=15 tjugo=20 trettio=30 fyrtio=40 femtio=50 \
         hundra=100 tusen=1000 dussin=12",
    ),
    (
        "hi",
        "एक=1 दो=2 तीन=3 चार=4 पाँच=5 पांच=5 छह=6 छः=6 सात=7 आठ=8 नौ=9 दस=10 बारह=12 पंद्रह=15 बीस=20 पचास=50 सौ=100 हज़ार=1000 हजार=1000 दर्जन=12",
    ),
];

/// Joins number words: `two hundred and fifty`, `vingt et un`, `fünfundzwanzig`.
const AND: [&str; 7] = ["and", "und", "et", "y", "e", "en", "i"];
/// Words that multiply what stands before them although they are below a hundred.
const DOZENS: [&str; 6] = ["dutzend", "dozen", "dozijn", "tuzin", "dussin", "दर्जन"];

#[derive(Debug, Clone, Copy)]
struct Value {
    number: u64,
    weak: bool,
    multiplies: bool,
}

#[derive(Default)]
struct Sum {
    thousands: u64,
    current: u64,
}

impl Sum {
    fn add(&mut self, value: Value) {
        match value {
            Value { number: 1000, .. } => {
                self.thousands = self.thousands.saturating_add(self.current.max(1).saturating_mul(1000));
                self.current = 0;
            }
            Value { number, multiplies: true, .. } => self.current = self.current.max(1).saturating_mul(number),
            Value { number, .. } => self.current = self.current.saturating_add(number),
        }
    }

    fn total(&self) -> u64 {
        self.thousands.saturating_add(self.current)
    }
}

/// The number made of words that starts at the first token.
pub(super) fn at(tokens: &[Token], language: &str) -> Option<Found> {
    let list = WORDS.iter().find(|(known, _)| *known == language).map(|(_, list)| *list)?;
    let (mut sum, mut length, mut at) = (Sum::default(), 0, 0);
    let mut weak = true;
    while let Some(token) = tokens.get(at) {
        let joins =
            length > 0 && ((token.kind == Kind::Word && token.is_one_of(&AND)) || (token.joined && token.is("-")));
        if joins {
            at += 1;
            continue;
        }
        let Some(values) = (token.kind == Kind::Word).then(|| values(list, &token.text)).flatten() else { break };
        for mut value in values {
            // quatre-vingts: four twenties.
            value.multiplies |= language == "fr" && value.number == 20 && sum.current == 4;
            weak = weak && value.weak;
            sum.add(value);
        }
        at += 1;
        length = at;
    }
    (length > 0).then(|| Found { value: sum.total().to_string(), length, weak })
}

/// The values of a word, of a compound several: `zweihundertfünfzig`.
fn values(list: &str, word: &str) -> Option<Vec<Value>> {
    if let Some(value) = known(list, word) {
        return Some(vec![value]);
    }
    let mut values = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        let end = (1..=rest.len()).rev().filter(|end| rest.is_char_boundary(*end)).find(|end| {
            known(list, &rest[..*end]).is_some()
                || (!values.is_empty() && AND.contains(&&rest[..*end]) && *end < rest.len())
        })?;
        values.extend(known(list, &rest[..end]));
        rest = &rest[end..];
    }
    // A compound of articles alone is some other word.
    values.iter().any(|value| !value.weak).then_some(values)
}

fn known(list: &str, word: &str) -> Option<Value> {
    list.split_whitespace().find_map(|entry| {
        let weak = entry.contains('~');
        let (name, number) = entry.split_once(['=', '~'])?;
        let number: u64 = number.parse().ok()?;
        let multiplies = number == 100 || DOZENS.contains(&name);
        (super::super::fold::fold(name) == word).then_some(Value { number, weak, multiplies })
    })
}
