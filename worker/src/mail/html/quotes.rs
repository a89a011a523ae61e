//! Quotes in HTML: mail programs put what they quote into elements of their own, which tells more than any words.

/// Tags that are looked at; a mail has some thousands at most.
const MOST_TAGS: usize = 100_000;

/// HTML in parts, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    New(&'a str),
    Quoted(&'a str),
}

/// How far a quote reaches that begins with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// To the end of the element.
    Element,
    /// To the end of the mail: the tag stands before what is quoted.
    Rest,
}

/// Classes, ids and the like, in lower case, of elements that hold a quote or stand before one.
const MARKS: &[(&str, Reach)] = &[
    ("gmail_quote", Reach::Element),
    ("yahoo_quoted", Reach::Element),
    ("protonmail_quote", Reach::Element),
    ("zmail_extra", Reach::Element),
    ("missive_quote", Reach::Element),
    ("moz-cite-prefix", Reach::Element),
    ("moz-forward-container", Reach::Element),
    ("tutanota_quote", Reach::Element),
    ("freebirdmail_quote", Reach::Element),
    ("mail-editor-reference-message-container", Reach::Element),
    ("divrplyfwdmsg", Reach::Rest),
    ("appendonsend", Reach::Rest),
    ("stopspelling", Reach::Rest),
    ("zwchr", Reach::Rest),
    ("outlookmessageheader", Reach::Rest),
];

/// Splits HTML at its quotes. Every tag is looked at once.
pub(super) fn parts(html: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut begin = 0;
    // The open quote: where it begins, its element's name, and how deep within it we are.
    let mut quote: Option<(usize, &str, u32)> = None;
    for (at, tag) in tags(html).take(MOST_TAGS) {
        let (closes, name) = name(tag);
        match &mut quote {
            None if !closes => match reach(name, tag) {
                Some(Reach::Rest) => {
                    parts.push(Part::New(&html[begin..at]));
                    parts.push(Part::Quoted(&html[at..]));
                    return parts;
                }
                Some(Reach::Element) => {
                    parts.push(Part::New(&html[begin..at]));
                    quote = Some((at, name, 1));
                }
                None => {}
            },
            Some((from, element, depth)) if name.eq_ignore_ascii_case(element) => {
                *depth = if closes { *depth - 1 } else { *depth + 1 };
                if *depth == 0 {
                    parts.push(Part::Quoted(&html[*from..at]));
                    begin = at;
                    quote = None;
                }
            }
            None | Some(_) => {}
        }
    }
    parts.push(match quote {
        Some((from, ..)) => Part::Quoted(&html[from..]),
        None => Part::New(&html[begin..]),
    });
    parts
}

/// What stands between angle brackets, with its place.
fn tags(html: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at + html.get(at..)?.find('<')?;
        // A tag that never ends is text to the end; attributes longer than this are no marks.
        let end = html[begin..].find('>').map_or(html.len(), |end| begin + end + 1);
        at = end;
        Some((begin, &html[begin..end]))
    })
}

fn name(tag: &str) -> (bool, &str) {
    let inner = tag.trim_start_matches('<');
    let (closes, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    (closes, &inner[..end])
}

fn reach(name: &str, tag: &str) -> Option<Reach> {
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    if !(is("div") || is("blockquote") || is("hr") || is("table") || is("section")) || tag.ends_with("/>") && !is("hr")
    {
        return None;
    }
    let attributes: String = tag.chars().skip(1 + name.len()).take(600).collect::<String>().to_lowercase();
    if is("blockquote") && (attributes.contains("cite") || attributes.contains("quote")) {
        return Some(Reach::Element);
    }
    if is("div") && attributes.replace(['"', '\''], "").contains("name=quote") {
        return Some(Reach::Element);
    }
    // Outlook for Windows rules a line over its block of headers, and names nothing.
    let ruled = attributes.contains("border-top:solid #e1e1e1") || attributes.contains("border-top:solid #b5c4df");
    if is("div") && ruled {
        return Some(Reach::Rest);
    }
    // A signature of Gmail within a reply is called gmail_signature, which is none of these.
    MARKS.iter().find(|(mark, _)| attributes.contains(mark)).map(|(_, reach)| *reach)
}

#[cfg(test)]
mod tests {
    use super::{Part, parts};

    #[test]
    fn elements_of_mail_programs_hold_their_quotes() {
        for quote in [
            "<div class=\"gmail_quote gmail_quote_container\"><div dir=\"ltr\" class=\"gmail_attr\">On Monday</div>old</div>",
            "<blockquote type=\"cite\"><div>old <blockquote type=cite>older</blockquote></div></blockquote>",
            "<div class=\"yahoo_quoted\" id='yahoo_quoted_1'>old</div>",
            "<div class=\"protonmail_quote\">old</div>",
            "<div name=\"quote\" style=\"margin:10px\">old</div>",
            "<DIV CLASS=MOZ-CITE-PREFIX>On Monday</DIV>",
        ] {
            let html = format!("<p>new</p>{quote}<p>below</p>");
            let parts = parts(&html);
            assert!(
                matches!(parts[..], [Part::New("<p>new</p>"), Part::Quoted(_), Part::New(below)] if below.contains("below")),
                "{parts:?}"
            );
        }
        for rest in [
            "<hr style=\"x\"><div id=\"divRplyFwdMsg\" dir=\"ltr\">From: a</div><div>old</div>",
            "<div id=\"appendonsend\"></div><hr><div>From</div>old",
            "<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm'>Von:</div>old",
        ] {
            let html = format!("<p>new</p>{rest}");
            assert!(
                matches!(parts(&html)[..], [Part::New(new), Part::Quoted(_)] if new.starts_with("<p>new</p>")),
                "{rest}"
            );
        }
        assert_eq!(parts("<p>new <b>and</b> only</p>").len(), 1);
        assert_eq!(parts("<blockquote>words of a poet</blockquote>").len(), 1);
    }

    #[test]
    fn broken_html_has_parts_all_the_same() {
        for html in [
            "",
            "<",
            "<div class=gmail_quote",
            "<div class=gmail_quote>never closed",
            "</div></div><blockquote type=cite>",
        ] {
            let whole: usize = parts(html)
                .iter()
                .map(|part| match part {
                    Part::New(text) | Part::Quoted(text) => text.len(),
                })
                .sum();
            assert_eq!(whole, html.len(), "{html}");
        }
        let many = "<blockquote type=cite>".repeat(200_000);
        assert!(parts(&many).len() <= 2);
    }
}
