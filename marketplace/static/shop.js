/* The shop window: suggestions while one types, packs of a typed weight. Without it everything works as plain forms. */
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
      if (event.isComposing || list.hidden || !count) return;
      if (event.key === "ArrowDown") { event.preventDefault(); mark((active + 1) % count); }
      else if (event.key === "ArrowUp") { event.preventDefault(); mark(active <= 0 ? count - 1 : active - 1); }
      else if (event.key === "Escape") { event.preventDefault(); close(); }
      else if (event.key === "Enter" && active >= 0) { event.preventDefault(); window.location.href = list.children[active].href; }
    });
    input.addEventListener("blur", function () { window.setTimeout(close, 200); });
    list.addEventListener("mousedown", function (event) { event.preventDefault(); });
  });

  /* On a narrow screen the calendar begins near the present month. */
  document.querySelectorAll(".seasons thead .this").forEach(function (head) {
    var frame = head.closest(".scroll");
    if (frame && frame.scrollWidth > frame.clientWidth) frame.scrollLeft = head.offsetLeft - frame.clientWidth / 2;
  });

  /* The buy box: what a quantity in 公斤 or 斤 is in packs, its price step and its sum. The server decides again. */
  document.querySelectorAll("form[data-ladder]").forEach(function (form) {
    var quantity = form.elements.namedItem("quantity"), unit = form.elements.namedItem("unit");
    var hint = form.querySelector("[data-hint]"), sum = form.querySelector("[data-sum]");
    var ladder = JSON.parse(form.dataset.ladder), net = Number(form.dataset.net);
    var least = Number(form.dataset.min), step = Number(form.dataset.multiple), plain = hint.textContent;
    function number(n) { return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ","); }
    function yuan(fen) { return number(Math.floor(fen / 100)) + "." + String(100 + fen % 100).slice(1); }
    function filled(text, values) {
      return text.replace(/\{(\w+)\}/g, function (all, name) { return name in values ? values[name] : all; });
    }
    function packs() {
      var typed = Number(quantity.value.replace(/[，,\s]/g, ""));
      if (!(typed > 0) || typed > 1e7) return 0;
      var grams = { kg: 1000, jin: 500 }[unit.value];
      var exact = grams ? Math.round(typed * grams) / net : typed;
      return Math.max(least, Math.ceil(Math.ceil(exact - 1e-9) / step) * step);
    }
    function tell() {
      var n = packs();
      if (!n) { hint.textContent = plain; sum.textContent = "—"; return; }
      var price = ladder[0][1];
      var from = ladder[0][0];
      ladder.forEach(function (row) { if (row[0] <= n) { from = row[0]; price = row[1]; } });
      document.querySelectorAll(".ladder [data-from]").forEach(function (row) {
        row.className = Number(row.dataset.from) === from ? "on" : "";
      });
      var text = filled(form.dataset.taken, {
        packs: number(n), kg: number(n * net / 1000), jin: number(n * net / 500),
      });
      hint.textContent = text + plain;
      sum.textContent = yuan(n * price);
    }
    quantity.addEventListener("input", tell); unit.addEventListener("change", tell); tell();
  });
})();
