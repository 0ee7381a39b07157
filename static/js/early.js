// Runs before the first paint: a sidebar that was folded away does not flash up.
try {
  if (localStorage.getItem("rail") === "closed") document.documentElement.dataset.rail = "closed";
} catch {
  // Storage may be forbidden: the sidebar is then open on each page.
}
