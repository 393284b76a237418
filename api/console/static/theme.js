// Before the page is drawn: the theme that the user chose, else the system's.
"use strict";
(() => {
  const theme = localStorage.getItem("rowguard-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
