// Numbers with their units, as people read them. What is not known is a dash.

const NONE = "–";
const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

function known(value) {
  return value !== null && value !== undefined && value !== "" && Number.isFinite(Number(value));
}

function digits(value, places) {
  return new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places }).format(value);
}

/** Three digits that count: 0.123, 1.23, 12.3, 123. */
export function figure(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(Number(value));
  if (size === 0) return "0";
  return digits(Number(value), size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
}

/** US dollars from a decimal string, down to a micro-dollar: $1,234.57, $0.0123, $0.000012. */
export function usd(value) {
  if (!known(value)) return NONE;
  const amount = Number(value);
  const size = Math.abs(amount);
  const sign = amount < 0 ? "−" : "";
  if (size === 0) return "$0";
  if (size < 0.000001) return `${sign}<$0.000001`;
  return `${sign}$${digits(size, size >= 1 ? 2 : size >= 0.01 ? 4 : 6)}`;
}

/** 12,345; from ten millions on 12.3 M. */
export function count(value) {
  if (!known(value)) return NONE;
  const number = Number(value);
  if (Math.abs(number) >= 1e9) return `${figure(number / 1e9)} G`;
  if (Math.abs(number) >= 1e7) return `${figure(number / 1e6)} M`;
  return NUMBER.format(number);
}

/** Bytes by thousands: 512 B, 1.20 kB, 34.5 MB. */
export function bytes(value) {
  if (!known(value)) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let size = Number(value);
  let unit = 0;
  while (Math.abs(size) >= 999.5 && unit < units.length - 1) {
    size /= 1_000;
    unit += 1;
  }
  return `${unit ? figure(size) : NUMBER.format(size)} ${units[unit]}`;
}

/** Seconds: 0.4 ms, 340 ms, 1.23 s, 3 min 20 s, 2 h 05 min, 3 d 4 h. */
export function duration(value) {
  if (!known(value)) return NONE;
  const seconds = Math.abs(Number(value));
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995) return `${figure(seconds * 1_000)} ms`;
  if (seconds < MINUTE_S - 0.5) return `${figure(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < HOUR_S) return `${Math.floor(whole / MINUTE_S)} min ${String(whole % MINUTE_S).padStart(2, "0")} s`;
  if (whole < DAY_S) {
    const minutes = String(Math.floor((whole % HOUR_S) / MINUTE_S)).padStart(2, "0");
    return `${Math.floor(whole / HOUR_S)} h ${minutes} min`;
  }
  return `${Math.floor(whole / DAY_S)} d ${Math.floor((whole % DAY_S) / HOUR_S)} h`;
}

/** How long ago, by whole seconds: just now, 12 s ago, 3 min 20 s ago. */
export function ago(at_s, now_s = Date.now() / 1_000) {
  if (!known(at_s)) return NONE;
  const seconds = Math.max(0, Math.round(now_s - Number(at_s)));
  if (seconds < 2) return "just now";
  return seconds < MINUTE_S ? `${seconds} s ago` : `${duration(seconds)} ago`;
}

/** A share of 1: 12.3 %. */
export function percent(share) {
  return known(share) ? `${figure(Number(share) * 100)} %` : NONE;
}

/** The local time of day: 14:03:09. */
export function clock(at_s) {
  return known(at_s) ? new Date(at_s * 1_000).toLocaleTimeString("en-GB") : NONE;
}

/** The local day and time, without seconds: 2025-11-25 14:03. */
export function moment(at_s) {
  if (!known(at_s)) return NONE;
  const at = new Date(at_s * 1_000);
  const day = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((part) => String(part).padStart(2, "0"));
  return `${day.join("-")} ${at.toLocaleTimeString("en-GB").slice(0, 5)}`;
}

/** The day and time in UTC, without seconds: 2025-11-25 14:03. */
export function momentUtc(at_s) {
  return known(at_s) ? new Date(at_s * 1_000).toISOString().slice(0, 16).replace("T", " ") : NONE;
}
