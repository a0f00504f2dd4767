//! Methods of Python's str, list and dict that minijinja-contrib's pycompat does not have.
use minijinja::value::{from_args, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat::unknown_method_callback;

const MAX_WIDTH: usize = 100_000;

pub fn call(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let mine = match value.kind() {
        ValueKind::String => string_method(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq | ValueKind::Iterable => list_method(value, method, args)?,
        ValueKind::Map => dict_method(value, method, args)?,
        _ => None,
    };
    match mine {
        Some(result) => Ok(result),
        None => unknown_method_callback(state, value, method, args),
    }
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" => {
            let (at,): (&str,) = from_args(args)?;
            let (head, mark, tail) = match text.split_once(at) {
                Some((head, tail)) => (head, at, tail),
                None => (text, "", ""),
            };
            strings([head, mark, tail])
        }
        "rpartition" => {
            let (at,): (&str,) = from_args(args)?;
            let (head, mark, tail) = match text.rsplit_once(at) {
                Some((head, tail)) => (head, at, tail),
                None => ("", "", text),
            };
            strings([head, mark, tail])
        }
        "rsplit" => rsplit(text, args)?,
        "splitlines" => {
            let (keep_ends,): (Option<bool>,) = from_args(args)?;
            strings(split_lines(text, keep_ends.unwrap_or(false)))
        }
        "index" => {
            let (what,): (&str,) = from_args(args)?;
            match text.find(what) {
                Some(at) => Value::from(text[..at].chars().count()),
                None => return Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
            }
        }
        "casefold" => {
            let () = from_args(args)?;
            Value::from(text.to_lowercase())
        }
        "swapcase" => {
            let () = from_args(args)?;
            let swap = |c: char| -> String {
                if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
            };
            Value::from(text.chars().map(swap).collect::<String>())
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let (sign, digits) = match text.strip_prefix(['+', '-']) {
                Some(digits) => (&text[..1], digits),
                None => ("", text),
            };
            let zeros = width.min(MAX_WIDTH).saturating_sub(text.chars().count());
            Value::from(format!("{sign}{}{digits}", "0".repeat(zeros)))
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<char>) = from_args(args)?;
            let missing = width.min(MAX_WIDTH).saturating_sub(text.chars().count());
            let left = match method {
                "ljust" => 0,
                "rjust" => missing,
                _ => missing / 2 + (missing & width & 1),
            };
            let pad = |count: usize| fill.unwrap_or(' ').to_string().repeat(count);
            Value::from(format!("{}{text}{}", pad(left), pad(missing - left)))
        }
        _ => return Ok(None),
    }))
}

fn strings<'a>(parts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::from(parts.into_iter().map(Value::from).collect::<Vec<_>>())
}

/// Python's line boundaries, which are more than a newline.
fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_end = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let Some((at, end)) = rest.char_indices().find(|(_, c)| is_end(*c)) else {
            lines.push(rest);
            break;
        };
        let size = if rest[at..].starts_with("\r\n") { 2 } else { end.len_utf8() };
        lines.push(&rest[..if keep_ends { at + size } else { at }]);
        rest = &rest[at + size..];
    }
    lines
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (at, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = most.and_then(|most| usize::try_from(most).ok());
    let mut parts: Vec<&str> = match (at, most) {
        (Some(""), _) => return Err(Error::new(ErrorKind::InvalidOperation, "rsplit: empty separator")),
        (Some(at), Some(most)) => text.rsplitn(most.saturating_add(1), at).collect(),
        (Some(at), None) => text.rsplit(at).collect(),
        (None, None) => text.split_whitespace().rev().collect(),
        (None, Some(most)) => {
            let (mut rest, mut parts) = (text.trim_end(), Vec::new());
            while !rest.is_empty() && parts.len() < most {
                let at = rest.rfind(char::is_whitespace).map_or(0, |at| {
                    at + rest[at..].chars().next().map_or(0, char::len_utf8)
                });
                parts.push(&rest[at..]);
                rest = rest[..at].trim_end();
            }
            if !rest.is_empty() {
                parts.push(rest);
            }
            parts
        }
    };
    parts.reverse();
    Ok(strings(parts))
}

fn list_method(list: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            match list.try_iter()?.position(|item| item == *what) {
                Some(at) => Value::from(at),
                None => return Err(Error::new(ErrorKind::InvalidOperation, "value is not in list")),
            }
        }
        "copy" => {
            let () = from_args(args)?;
            list.clone()
        }
        // Transformers renders in an immutable sandbox: these exist there, and are refused.
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => return Err(refused(method)),
        _ => return Ok(None),
    }))
}

fn dict_method(dict: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "copy" => {
            let () = from_args(args)?;
            dict.clone()
        }
        "update" | "pop" | "popitem" | "setdefault" | "clear" => return Err(refused(method)),
        _ => return Ok(None),
    }))
}

fn refused(method: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("'{method}' would change a value; templates cannot"))
}
