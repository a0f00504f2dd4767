//! `strftime_now` of chat templates: Python's `datetime.now().strftime(format)`, that is, the C library's in local time.
use minijinja::{Error, ErrorKind};

/// `seconds` since 1970.
pub fn format_local(seconds: i64, format: &str) -> Result<String, Error> {
    let invalid = |what: &str| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {what}"));
    if format.len() > 1024 {
        return Err(invalid("the format is longer than 1024 bytes"));
    }
    // A naive datetime has no zone, and `now` has no microseconds here; an embedded NUL would end a C string.
    let format = format.replace("%f", "000000").replace("%z", "").replace("%Z", "");
    if format.is_empty() {
        return Ok(String::new());
    }
    // The trailing mark tells an empty result ("%p" in some locales) from a buffer that is too small.
    let format = std::ffi::CString::new(format + "|").map_err(|_| invalid("the format has a NUL character"))?;
    let time: libc::time_t = seconds;
    let mut buffer = vec![0u8; 8192];
    // SAFETY: `broken_down` is plain data that localtime_r fills; strftime writes at most `buffer.len()` bytes.
    let written = unsafe {
        let mut broken_down: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&time, &mut broken_down).is_null() {
            return Err(invalid("the time is outside the calendar"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &broken_down)
    };
    if written == 0 {
        return Err(invalid("the result is longer than 8191 bytes"));
    }
    buffer.truncate(written - 1);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

pub fn clock() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}
