/* Small helps for every page; without it all of the site still works. No library, no inline code. */
(function () {
  "use strict";
  /* The errors on top are read at once by screen readers. */
  var errors = document.getElementById("errors");
  if (errors) errors.focus();

  /* A form is sent once; its key makes a second sending harmless anyway. */
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent === "yes") { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    /* Else the #main of the skip link comes along and takes the focus from the errors of the next page. */
    if (!form.hasAttribute("action")) form.action = location.pathname + location.search;
    window.setTimeout(function () { form.dataset.sent = ""; }, 5000);
    busy(form);
  });
  /* What takes longer than a blink says that it is under way, and that a file travels. */
  var waiting = null;
  function busy(form) {
    var files = Array.prototype.some.call(form.querySelectorAll("input[type=file]"), function (each) {
      return each.files && each.files.length > 0;
    });
    window.clearTimeout(waiting);
    waiting = window.setTimeout(function () {
      var said = document.createElement("p");
      said.className = "busy"; said.setAttribute("role", "status");
      document.body.appendChild(said);
      said.textContent = files ? document.body.dataset.busyFile : document.body.dataset.busy;
    }, 400);
  }
  window.addEventListener("pageshow", function () {
    window.clearTimeout(waiting);
    document.querySelectorAll("p.busy").forEach(function (said) { said.remove(); });
    document.querySelectorAll("form[data-sent]").forEach(function (form) { form.dataset.sent = ""; });
  });

  /* data-copy="text" puts a text on the clipboard; where that is not allowed the text is shown to be copied by hand. */
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (!button) return;
    var text = button.dataset.copy;
    var done = function () {
      var label = button.textContent;
      button.textContent = button.dataset.copied || "✓";
      window.setTimeout(function () { button.textContent = label; }, 1500);
    };
    var byHand = function () {
      var box = document.createElement("textarea");
      box.value = text; box.className = "input"; box.readOnly = true;
      button.insertAdjacentElement("afterend", box); box.focus(); box.select();
    };
    if (navigator.clipboard && navigator.clipboard.writeText) navigator.clipboard.writeText(text).then(done, byHand);
    else byHand();
  });

  /* Menus close with Escape and with a click elsewhere. */
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      menu.open = false; menu.querySelector("summary").focus();
    });
  });
  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
})();
