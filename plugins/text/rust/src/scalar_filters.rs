//! Filters on one text or number as Jinja2 has them: default arguments, keyword arguments and str() of what is no text.
use crate::filters::{argument, invalid};
use crate::py_value::str_of;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error};
use std::fmt::Write;

pub fn add_all(env: &mut Environment<'static>) {
    env.add_filter("indent", indent);
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("round", round);
    env.add_filter("replace", replace);
    env.add_filter("center", center);
    env.add_filter("trim", trim);
    env.add_filter("truncate", truncate);
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter("upper", |value: &Value| str_of(value).map(|text| text.to_uppercase()));
    env.add_filter("lower", |value: &Value| str_of(value).map(|text| text.to_lowercase()));
    env.add_filter("wordcount", |text: &str| text.split_whitespace().count());
    env.add_filter("striptags", minijinja_contrib::filters::striptags);
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

fn center(text: &str, width: Option<usize>) -> String {
    let width = width.unwrap_or(80).min(100_000);
    let missing = width.saturating_sub(text.chars().count());
    // Python's str.center: the odd space goes left when the width is odd.
    let left = missing / 2 + (missing & width & 1);
    let mut out = String::new();
    let _ = write!(out, "{:left$}{text}{:right$}", "", "", left = left, right = missing - left);
    out
}

fn trim(value: &Value, chars: Option<String>) -> Result<String, Error> {
    let text = str_of(value)?;
    Ok(match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)).to_string(),
        None => text.trim().to_string(),
    })
}

/// markupsafe's escapes.
fn escape(value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let text = str_of(value)?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    Ok(Value::from_safe_string(out))
}

fn round(value: f64, precision: Option<i32>, method: Option<&str>, kwargs: Kwargs) -> Result<f64, Error> {
    let precision = match precision {
        Some(precision) => precision,
        None => kwargs.get::<Option<i32>>("precision")?.unwrap_or(0),
    };
    let method = match method {
        Some(method) => method,
        None => kwargs.get::<Option<&str>>("method")?.unwrap_or("common"),
    };
    kwargs.assert_all_used()?;
    let scale = 10f64.powi(precision.clamp(-300, 300));
    match method {
        // Python rounds the decimal digits, halves to even: so does the formatter.
        "common" if (0..=300).contains(&precision) => {
            let digits = precision as usize;
            format!("{value:.digits$}").parse().map_err(|_| invalid(format!("round: cannot round {value}")))
        }
        "common" => Ok((value * scale).round_ties_even() / scale),
        "ceil" => Ok((value * scale).ceil() / scale),
        "floor" => Ok((value * scale).floor() / scale),
        other => Err(invalid(format!("round: method '{other}' is not common, ceil or floor"))),
    }
}

fn truncate(value: &Value, length: Option<Value>, kill_words: Option<Value>, end: Option<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let text = str_of(value)?;
    let length = match argument(length, &kwargs, "length")? {
        Some(length) => usize::try_from(length)?,
        None => 255,
    };
    let kill_words = argument(kill_words, &kwargs, "killwords")?.is_some_and(|on| on.is_true());
    let end = match argument(end, &kwargs, "end")? {
        Some(end) => str_of(&end)?,
        None => "...".to_string(),
    };
    let leeway = kwargs.get::<Option<usize>>("leeway")?.unwrap_or(5);
    kwargs.assert_all_used()?;
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = chars[..length.saturating_sub(end.chars().count()).min(chars.len())].iter().collect();
    let kept = if kill_words { kept } else { kept.rsplit_once(' ').map_or(kept.clone(), |(words, _)| words.to_string()) };
    Ok(kept + &end)
}
