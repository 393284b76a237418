// The theme's button, and the keys of the review pages. Everything works without it.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  byId("theme")?.addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const current = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    const next = current === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("rowguard-theme", next);
  });

  const rows = [...document.querySelectorAll("tr[data-case]")];
  const form = byId("bulk");
  if (!form) return;
  let at = -1;

  const move = (to) => {
    rows[at]?.classList.remove("current");
    at = Math.max(0, Math.min(rows.length - 1, to));
    rows[at]?.classList.add("current");
    rows[at]?.querySelector("a")?.focus();
    rows[at]?.scrollIntoView({ block: "nearest" });
  };
  const box = () => rows[at]?.querySelector("input[type=checkbox]");
  const decisions = { f: "fraud", l: "legitimate", u: "unsure" };

  const decide = (decision) => {
    if (!byId("decision")) return;
    if (rows.length && !form.querySelector("input[type=checkbox]:checked") && box()) box().checked = true;
    byId("decision").value = decision;
    byId("decide").focus();
  };
  const claim = () => {
    const claiming = byId("claim-next");
    if (!claiming) return;
    if (rows[at]) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = "case_id";
      field.value = rows[at].dataset.case;
      claiming.append(field);
    }
    claiming.requestSubmit();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
    if (event.key === "j") move(at + 1);
    else if (event.key === "k") move(at - 1);
    else if (event.key === "x" && box()) box().checked = !box().checked;
    else if (event.key === "c") claim();
    else if (decisions[event.key]) decide(decisions[event.key]);
    else return;
    event.preventDefault();
  });
})();
