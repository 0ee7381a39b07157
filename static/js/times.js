/** Instants in the reader's zone and words: clock times, days, and how long something takes. */
import { word } from "./dom.js";

const DAY = 86_400_000;
const language = document.documentElement.lang || undefined;
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat(language, { weekday: "short" });
const date = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const month = new Intl.DateTimeFormat(language, { month: "long", year: "numeric" });
const longDay = new Intl.DateTimeFormat(language, {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
});
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

// Clocks differ: seconds that pass are counted by the server's.
const ahead = Number(document.body.dataset.now) * 1000 - Date.now() || 0;
const now = () => Date.now() + ahead;

/** Days since then in the reader's calendar: 0 is today, 1 yesterday. */
function daysAgo(at) {
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(at)) / DAY);
}

function capital(text) {
  return text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
}

export function dayName(at) {
  const days = daysAgo(at);
  return days < 2 ? capital(relative.format(-days, "day")) : longDay.format(at);
}

export function groupName(at, previousDays) {
  const days = daysAgo(at);
  if (days < 2) return capital(relative.format(-Math.max(days, 0), "day"));
  return days < 8 ? previousDays : capital(month.format(at));
}

const show = {
  clock: (at) => clock.format(at),
  row: (at) => {
    const days = daysAgo(at);
    if (days < 2) return clock.format(at);
    return days < 8 ? weekday.format(at) : date.format(at);
  },
  since: (at) => seconds((now() - at) / 1000, 3),
  until: (at) => remaining((at - now()) / 1000),
};

/** "in 20 seconds", and nothing once it has passed. */
function remaining(passes) {
  if (passes < 1) return "";
  if (passes < 90) return relative.format(Math.floor(passes), "second");
  const minutes = Math.round(passes / 60);
  return minutes < 90 ? relative.format(minutes, "minute") : relative.format(Math.round(minutes / 60), "hour");
}

function seconds(passed, least) {
  return passed < least ? "" : word("seconds").replace("%s", Math.floor(passed));
}

function writeTime(time) {
  const at = new Date(time.dateTime);
  const said = show[time.dataset.time](at);
  const text = said && (time.dataset.words ?? "%s").replace("%s", said);
  if (time.textContent !== text) time.textContent = text;
  return at;
}

export function showTimes(root = document) {
  for (const time of root.querySelectorAll("time[data-time]")) {
    time.title = exact.format(writeTime(time));
  }
}

export function startTimes() {
  showTimes();
  setInterval(() => {
    document
      .querySelectorAll("time[data-time=since], time[data-time=until]")
      .forEach(writeTime);
  }, 1000);
}
