//! Filters, tests and functions where MiniJinja's own differ from Jinja2's, and those that Transformers adds.
use crate::json_format::{dumps, Style};
use crate::py_value::str_of;
use crate::scalar_filters;
use crate::strftime;
use minijinja::value::{from_args, Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

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
    env.add_filter("items", items);
    env.add_filter("sum", sum);
    env.add_filter("__tare_sum", minijinja::filters::sum);
    scalar_filters::add_all(env);
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

pub fn invalid(message: String) -> Error {
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
pub fn argument(positional: Option<Value>, kwargs: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
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


fn sum(state: &State, value: &Value, attribute: Option<Value>, start: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let attribute = argument(attribute, &kwargs, "attribute")?;
    let start = argument(start, &kwargs, "start")?;
    kwargs.assert_all_used()?;
    let mut items: Vec<Value> = start.into_iter().collect();
    for item in value.try_iter()? {
        items.push(match &attribute {
            Some(name) => item.get_item(name)?,
            None => item,
        });
    }
    state.apply_filter("__tare_sum", &[Value::from(items)])
}
