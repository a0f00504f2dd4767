//! Chat templates, rendered as Transformers renders them (`apply_chat_template`: Jinja2 in an immutable sandbox with
//! trim_blocks and lstrip_blocks).
use crate::error::{Code, Result, TextError};
use crate::filters::{self, NOW, RAISED};
use crate::py_methods;
use crate::py_value::str_of;
use crate::strftime;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind};
use serde_json::{Map, Value as Json};

/// Instructions that a template may run: a bound for endless loops that grows with the work there is.
const BASE_FUEL: u64 = 2_000_000;
const FUEL_PER_CONTEXT_BYTE: u64 = 100;

/// The largest known template has about 30 KB. MiniJinja's compiler recurses along chains such as `----1` (382 bytes of
/// stack a level, measured), so a template is compiled on a thread whose stack holds the worst that fits.
const MAX_TEMPLATE_BYTES: usize = 128 << 10;
const COMPILER_STACK_BYTES: usize = 128 << 20;

pub struct Templates {
    env: Environment<'static>,
    names: Vec<String>,
    special_tokens: Map<String, Json>,
    /// Why a template cannot be used; told when it is asked for, since a model serves completions without one.
    broken: Option<TextError>,
}

impl Templates {
    /// `own` is chat_template.jinja (or GGUF's) and wins over `configured`, tokenizer_config.json's chat_template:
    /// one template, or a list of {"name": ..., "template": ...}.
    pub fn new(own: &str, configured: Option<&Json>, special_tokens: Map<String, Json>) -> Self {
        let mut sources: Vec<(String, String)> = Vec::new();
        if !own.is_empty() {
            sources.push(("default".to_string(), own.to_string()));
        } else if let Some(text) = configured.and_then(Json::as_str) {
            sources.push(("default".to_string(), text.to_string()));
        } else if let Some(list) = configured.and_then(Json::as_array) {
            for entry in list {
                if let (Some(name), Some(text)) = (entry["name"].as_str(), entry["template"].as_str()) {
                    sources.push((name.to_string(), text.to_string()));
                }
            }
        }
        let mut templates = Templates { env: environment(), names: Vec::new(), special_tokens, broken: None };
        for (name, source) in sources {
            match compile(&mut templates.env, &name, &source) {
                Ok(()) => templates.names.push(name),
                Err(error) => templates.broken = Some(error),
            }
        }
        templates
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.broken.is_none()
    }

    /// `tool_use` when there is one and the request has tools, else `default`, else the only one.
    fn choose(&self, context: &Map<String, Json>) -> Result<&str> {
        let has = |name: &str| self.names.iter().find(|have| *have == name).map(String::as_str);
        let tools = context.get("tools").is_some_and(|tools| !tools.is_null());
        let chosen = has("tool_use").filter(|_| tools).or_else(|| has("default"));
        match (chosen, self.names.as_slice(), &self.broken) {
            (Some(name), _, _) => Ok(name),
            (None, [only], _) => Ok(only),
            (None, _, Some(error)) => Err(error.clone()),
            (None, [], None) => Err(TextError::new(Code::NotFound, "the model has no chat template")),
            (None, names, None) => Err(TextError::new(
                Code::NotFound,
                format!("the model has the chat templates {} but none named 'default'", names.join(", ")),
            )),
        }
    }

    /// `context` is a JSON object whose keys' order is kept. `now`: seconds since 1970, absent: the clock.
    pub fn render(&self, context: &str, now: Option<i64>) -> Result<String> {
        let context_bytes = context.len() as u64;
        let context: Map<String, Json> = match serde_json::from_str(context) {
            Ok(Json::Object(map)) => map,
            Ok(_) => return Err(TextError::invalid("the template's context is no JSON object")),
            Err(error) => return Err(TextError::invalid(format!("the template's context is not valid JSON: {error}"))),
        };
        let name = self.choose(&context)?.to_string();
        // What apply_chat_template always passes; the context's own values win.
        let mut all = Map::new();
        all.insert("messages".to_string(), Json::Array(Vec::new()));
        all.insert("tools".to_string(), Json::Null);
        all.insert("documents".to_string(), Json::Null);
        all.insert("add_generation_prompt".to_string(), Json::Bool(false));
        all.extend(self.special_tokens.iter().map(|(name, value)| (name.clone(), value.clone())));
        all.extend(context);
        all.insert(NOW.to_string(), Json::from(now.unwrap_or_else(strftime::clock)));
        let fuel = BASE_FUEL.saturating_add(FUEL_PER_CONTEXT_BYTE.saturating_mul(context_bytes));
        // Fuel is a property of the environment, whose copy is a few reference counts.
        let mut env = self.env.clone();
        env.set_fuel(Some(fuel));
        let template = env.get_template(&name).map_err(|error| failure(&error))?;
        template.render(Value::from_serialize(&all)).map_err(|error| failure(&error))
    }
}

fn compile(env: &mut Environment<'static>, name: &str, source: &str) -> Result<()> {
    if source.len() > MAX_TEMPLATE_BYTES {
        return Err(TextError::invalid(format!(
            "the chat template has {} bytes; at most {MAX_TEMPLATE_BYTES} are taken",
            source.len()
        )));
    }
    let add = || env.add_template_owned(name.to_string(), prepare(source));
    let compiled = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(COMPILER_STACK_BYTES).spawn_scoped(scope, add);
        thread.map(|thread| thread.join())
    });
    match compiled {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(failure(&error)),
        Ok(Err(_)) => Err(TextError::new(Code::Internal, "the chat template's compiler failed")),
        Err(error) => Err(TextError::new(Code::Exhausted, format!("no thread for compiling the chat template: {error}"))),
    }
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_recursion_limit(200);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_unknown_method_callback(py_methods::call);
    env.set_formatter(|out, _, value| {
        if let Some(text) = value.as_str() {
            return out.write_str(text).map_err(minijinja::Error::from);
        }
        out.write_str(&str_of(value)?).map_err(minijinja::Error::from)
    });
    filters::add_all(&mut env);
    env
}

/// Newlines as Jinja2 reads them, and `{% generation %}` (Transformers' mark for assistant text, without effect on the
/// output) as a scope.
fn prepare(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    if !source.contains("generation") {
        return source;
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    let mut raw = false;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let inner = &tag[2..tag.len() - 2];
        let word = inner.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
        raw = (raw && word != "endraw") || word == "raw";
        match word {
            _ if raw => out.push_str(tag),
            "generation" => out.push_str(&tag.replace("generation", "with")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endwith")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// One sentence with the template's line.
fn failure(error: &minijinja::Error) -> TextError {
    // The innermost error has the line where it happened.
    let mut innermost = error;
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<minijinja::Error>() {
            innermost = inner;
        }
        source = inner.source();
    }
    let line = innermost.line().or_else(|| error.line()).map_or(String::new(), |line| format!(" line {line}"));
    let detail = innermost.detail().or_else(|| error.detail()).unwrap_or_default();
    if let Some(message) = detail.strip_prefix(RAISED) {
        return TextError::invalid(format!("the chat template refuses this at{line}: {message}"));
    }
    if innermost.kind() == ErrorKind::OutOfFuel || error.kind() == ErrorKind::OutOfFuel {
        return TextError::new(Code::Exhausted, format!("chat template{line}: more steps than a template may take"));
    }
    let kind = innermost.kind().to_string();
    let what = if detail.is_empty() { kind } else { format!("{kind}: {detail}") };
    TextError::invalid(format!("chat template{line}: {what}"))
}
