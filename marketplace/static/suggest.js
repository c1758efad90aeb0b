/* The search field of every page: suggestions while one types. Without it the field is a plain form. */
(function () {
  "use strict";

  /* Search as you type: a combobox with a list of links. Arrows move, Enter opens, Escape closes. */
  document.querySelectorAll("input[data-suggest]").forEach(function (input) {
    var source = input.dataset.suggest;
    if (!source || !window.fetch) return;
    var list = document.createElement("div");
    var timer = 0, asked = "", active = -1;
    list.className = "suggest"; list.id = input.id + "-list"; list.hidden = true;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", input.labels && input.labels[0] ? input.labels[0].textContent : "");
    input.insertAdjacentElement("afterend", list);
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("aria-controls", list.id);

    function close() {
      list.hidden = true; active = -1; asked = "";
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    }
    function mark(next) {
      var rows = list.children;
      if (active >= 0 && rows[active]) rows[active].setAttribute("aria-selected", "false");
      active = next;
      if (active < 0) { input.removeAttribute("aria-activedescendant"); return; }
      rows[active].setAttribute("aria-selected", "true");
      input.setAttribute("aria-activedescendant", rows[active].id);
    }
    function show(items) {
      list.textContent = "";
      items.forEach(function (item, n) {
        var row = document.createElement("a"), name = document.createElement("span"), note = document.createElement("span");
        row.href = item.to; row.id = list.id + "-" + n; row.tabIndex = -1;
        row.setAttribute("role", "option"); row.setAttribute("aria-selected", "false");
        name.textContent = item.label; name.lang = "zh-Hans";
        note.textContent = item.note; note.className = "mute t1 nb";
        row.appendChild(name); row.appendChild(note); list.appendChild(row);
      });
      active = -1;
      list.hidden = items.length === 0;
      input.setAttribute("aria-expanded", String(items.length > 0));
      input.removeAttribute("aria-activedescendant");
    }
    function ask() {
      var text = input.value.trim();
      if (text === "") { close(); return; }
      if (text === asked) return;
      asked = text;
      fetch(source + "?q=" + encodeURIComponent(text.slice(0, 60)), { headers: { Accept: "application/json" } })
        .then(function (answer) { return answer.ok ? answer.json() : { items: [] }; })
        .then(function (found) { if (text === asked && document.activeElement === input) show(found.items); })
        .catch(close);
    }
    input.addEventListener("input", function (event) {
      if (event.isComposing) return;
      window.clearTimeout(timer); timer = window.setTimeout(ask, 180);
    });
    input.addEventListener("compositionend", function () {
      window.clearTimeout(timer); timer = window.setTimeout(ask, 180);
    });
    input.addEventListener("keydown", function (event) {
      var count = list.children.length;
      if (event.isComposing) return;
      /* What was typed last and not yet asked is not asked after it. */
      if (event.key === "Escape") window.clearTimeout(timer);
      if (list.hidden || !count) return;
      if (event.key === "ArrowDown") { event.preventDefault(); mark((active + 1) % count); }
      else if (event.key === "ArrowUp") { event.preventDefault(); mark(active <= 0 ? count - 1 : active - 1); }
      else if (event.key === "Escape") { event.preventDefault(); close(); }
      else if (event.key === "Enter" && active >= 0) { event.preventDefault(); window.location.href = list.children[active].href; }
    });
    input.addEventListener("blur", function () { window.setTimeout(close, 200); });
    list.addEventListener("mousedown", function (event) { event.preventDefault(); });
  });
})();
