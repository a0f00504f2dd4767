//! Filters, tests and functions where MiniJinja's own differ from Jinja2's, and those that Transformers adds.
use crate::json_format::{dumps, Style};
use crate::py_value::str_of;
use crate::strftime;
use minijinja::value::{from_args, Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use std::fmt::Write;

/// Where `render` puts the time for strftime_now.
pub const NOW: &str = "__tare_now";
/// Marks an error that the template raised itself.
pub const RAISED: &str = "raised by the template: ";

pub fn add_all(env: &mut Environment<'static>) {
    env.add_filter("tojson", tojson);
    env.add_filter("string", |value: &Value| str_of(value));
    env.add_filter("join", join);
    env.add_filter("length", length);
    env.add_filter("count", length);
    env.add_filter("default", default);
    env.add_filter("d", default);
    env.add_filter("indent", indent);
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("replace", replace);
    env.add_filter("items", items);
    env.add_filter("center", center);
    env.add_filter("wordcount", |text: &str| text.split_whitespace().count());
    env.add_filter("truncate", minijinja_contrib::filters::truncate);
    env.add_filter("striptags", minijinja_contrib::filters::striptags);
    env.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
    });
    env.add_test("iterable", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Iterable)
            || value.is_undefined()
    });
    env.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    env.add_function("raise_exception", raise_exception);
    env.add_function("strftime_now", strftime_now);
    env.add_function("cycler", minijinja_contrib::globals::cycler);
    env.add_function("joiner", minijinja_contrib::globals::joiner);
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn raise_exception(message: Option<Value>) -> Result<Value, Error> {
    let text = message.map_or(Ok(String::new()), |message| str_of(&message))?;
    Err(invalid(format!("{RAISED}{text}")))
}

fn strftime_now(state: &State, format: &str) -> Result<String, Error> {
    let now = state.lookup(NOW).and_then(|now| i64::try_from(now).ok());
    strftime::format_local(now.unwrap_or_else(strftime::clock), format)
}

/// A positional argument, or the keyword argument of that name.
fn argument(positional: Option<Value>, kwargs: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
    match positional {
        Some(value) => Ok(Some(value)),
        None => kwargs.get::<Option<Value>>(name),
    }
}

fn tojson(value: &Value, args: Rest<Value>) -> Result<String, Error> {
    let (args, kwargs): (&[Value], Kwargs) = from_args(&args)?;
    let given = |at: usize| args.get(at).cloned();
    let ensure_ascii = argument(given(0), &kwargs, "ensure_ascii")?.is_some_and(|on| on.is_true());
    let sort_keys = argument(given(3), &kwargs, "sort_keys")?.is_some_and(|on| on.is_true());
    let indent = match argument(given(1), &kwargs, "indent")?.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_string(),
            None => " ".repeat(usize::try_from(indent)?.min(64)),
        }),
    };
    let separators = argument(given(2), &kwargs, "separators")?.filter(|separators| !separators.is_none());
    kwargs.assert_all_used()?;
    let (item_separator, key_separator) = match separators {
        Some(pair) => (str_of(&pair.get_item_by_index(0)?)?, str_of(&pair.get_item_by_index(1)?)?),
        None => (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string()),
    };
    dumps(value, &Style { ensure_ascii, indent, item_separator, key_separator, sort_keys })
}

fn join(value: &Value, separator: Option<Value>, attribute: Option<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let separator = match argument(separator, &kwargs, "d")? {
        Some(separator) => str_of(&separator)?,
        None => String::new(),
    };
    let attribute = argument(attribute, &kwargs, "attribute")?;
    kwargs.assert_all_used()?;
    let mut out = String::new();
    for (i, item) in value.try_iter()?.enumerate() {
        if i > 0 {
            out.push_str(&separator);
        }
        match &attribute {
            Some(name) => out.push_str(&str_of(&item.get_item(name)?)?),
            None => out.push_str(&str_of(&item)?),
        }
    }
    Ok(out)
}

fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    value.len().ok_or_else(|| invalid(format!("a value of type {} has no length", value.kind())))
}

fn default(value: &Value, other: Option<Value>, boolean: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let other = argument(other, &kwargs, "default_value")?.unwrap_or_else(|| Value::from(""));
    let boolean = argument(boolean, &kwargs, "boolean")?.is_some_and(|on| on.is_true());
    kwargs.assert_all_used()?;
    Ok(if value.is_undefined() || (boolean && !value.is_true()) { other } else { value.clone() })
}

fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<Value>,
    blank: Option<Value>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let margin = match argument(width, &kwargs, "width")? {
        None => " ".repeat(4),
        Some(width) => match width.as_str() {
            Some(text) => text.to_string(),
            None => " ".repeat(usize::try_from(width)?.min(1000)),
        },
    };
    let first = argument(first, &kwargs, "first")?.is_some_and(|on| on.is_true());
    let blank = argument(blank, &kwargs, "blank")?.is_some_and(|on| on.is_true());
    kwargs.assert_all_used()?;
    let text = str_of(value)?;
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if (i == 0 && first) || (i > 0 && (blank || !line.is_empty())) {
            out.push_str(&margin);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// int(text), or the default (0) where that is no number.
fn int(value: &Value, default: Option<Value>, base: Option<u32>, kwargs: Kwargs) -> Result<Value, Error> {
    let default = argument(default, &kwargs, "default")?.unwrap_or_else(|| Value::from(0));
    let base = match base {
        Some(base) => base,
        None => kwargs.get::<Option<u32>>("base")?.unwrap_or(10),
    };
    kwargs.assert_all_used()?;
    if !(2..=36).contains(&base) {
        return Err(invalid(format!("int: base {base} is outside 2..36")));
    }
    Ok(match value.kind() {
        ValueKind::Bool => Value::from(i64::from(value.is_true())),
        ValueKind::Number if value.is_integer() => value.clone(),
        ValueKind::Number => Value::from(f64::try_from(value.clone())? as i128),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default().trim().replace('_', "");
            match (i128::from_str_radix(&text, base), text.parse::<f64>()) {
                (Ok(number), _) => Value::from(number),
                (_, Ok(number)) if number.is_finite() => Value::from(number as i128),
                _ => default,
            }
        }
        _ => default,
    })
}

fn float(value: &Value, default: Option<f64>) -> Value {
    let number = match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::String => value.as_str().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    Value::from(number.unwrap_or(default.unwrap_or(0.0)))
}

fn replace(value: &Value, from: &str, to: &str, count: Option<usize>) -> Result<String, Error> {
    let text = str_of(value)?;
    Ok(match count {
        Some(count) => text.replacen(from, to, count),
        None => text.replace(from, to),
    })
}

fn items(value: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    if value.kind() != ValueKind::Map {
        return Err(invalid(format!("items: expected a mapping, found {}", value.kind())));
    }
    let mut pairs = Vec::new();
    for key in value.try_iter()? {
        let item = value.get_item(&key)?;
        pairs.push(Value::from(vec![key, item]));
    }
    Ok(Value::from(pairs))
}

fn center(text: &str, width: Option<usize>) -> String {
    let width = width.unwrap_or(80).min(100_000);
    let missing = width.saturating_sub(text.chars().count());
    // Python's str.center: the odd space goes left when the width is odd.
    let left = missing / 2 + (missing & width & 1);
    let mut out = String::new();
    let _ = write!(out, "{:left$}{text}{:right$}", "", "", left = left, right = missing - left);
    out
}
