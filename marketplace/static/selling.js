/* The seller's forms on a phone: rows without a round trip, and a draft that survives a lost signal and is sent once.
   All of it is help: without it the form posts as any other. The key of the form (_once) is part of the draft, so a
   draft that is sent twice has one effect. */
(function () {
  "use strict";
  var PREFIX = "draft:";
  var store;
  try { store = window.localStorage; store.getItem(PREFIX); } catch (e) { store = null; }

  function read(key) {
    try { return JSON.parse(store.getItem(PREFIX + key)); } catch (e) { return null; }
  }
  function write(key, value) {
    try { store.setItem(PREFIX + key, JSON.stringify(value)); } catch (e) { /* a full phone keeps no draft */ }
  }
  function drop(key) { store.removeItem(PREFIX + key); }

  /* One more row: the last one again, empty, with the next number. */
  function addRow(box) {
    var rows = box.querySelectorAll("[data-row]");
    var last = rows[rows.length - 1];
    var row = last.cloneNode(true);
    var name = box.dataset.rows, next = rows.length;
    var renumber = new RegExp("(^|-)" + name + "-\\d+-");
    row.querySelectorAll("[id],[for],[name],[aria-describedby]").forEach(function (part) {
      ["id", "for", "name", "aria-describedby"].forEach(function (attribute) {
        var value = part.getAttribute(attribute);
        if (value) part.setAttribute(attribute, value.replace(renumber, "$1" + name + "-" + next + "-"));
      });
    });
    row.querySelectorAll(".err").forEach(function (part) { part.remove(); });
    row.querySelectorAll(".field--err").forEach(function (part) { part.classList.remove("field--err"); });
    row.querySelectorAll("input,select").forEach(function (part) {
      part.removeAttribute("aria-invalid");
      /* The township stays: the next plot is mostly in the same one. */
      if (part.tagName === "INPUT") part.value = "";
      else if (!/township/.test(part.name)) part.selectedIndex = 0;
      else part.value = last.querySelector("select[name$=township_code]").value;
    });
    var legend = row.querySelector("legend");
    if (legend) legend.textContent = legend.textContent.replace(/\d+/, String(next + 1));
    box.appendChild(row);
    return row;
  }
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-more]");
    if (!button) return;
    var box = button.form.querySelector("[data-rows=" + button.dataset.more + "]");
    if (!box) return;
    event.preventDefault();
    var first = addRow(box).querySelector("input,select");
    if (first) first.focus();
    save(button.form);
  });

  /* Villages of the chosen township are offered first; of all townships where it has none yet. */
  function offerVillages(select) {
    var row = select.closest("[data-row]");
    var village = row && row.querySelector("input[name$=village]");
    if (!village) return;
    var own = "villages-" + select.value;
    village.setAttribute("list", document.getElementById(own) ? own : "villages");
  }
  document.addEventListener("change", function (event) {
    if (/township_code$/.test(event.target.name || "")) offerVillages(event.target);
  });
  document.querySelectorAll("[data-row] select[name$=township_code]").forEach(offerVillages);
  /* A row in which only something was chosen from a list is an unused one. */
  function clearUnused(form) {
    form.querySelectorAll("[data-row] + [data-row]").forEach(function (row) {
      var typed = Array.prototype.some.call(row.querySelectorAll("input"), function (part) { return part.value.trim(); });
      if (!typed) row.querySelectorAll("select").forEach(function (part) { part.value = ""; });
    });
  }

  function values(form) {
    var kept = {};
    Array.prototype.forEach.call(form.elements, function (part) {
      if (part.name && part.type !== "file" && part.tagName !== "BUTTON" && part.value) kept[part.name] = part.value;
    });
    return kept;
  }
  function save(form, waiting) {
    if (!store || !form.dataset.draft) return;
    write(form.dataset.draft, { values: values(form), waiting: waiting || false, at: Date.now() });
  }
  function restore(form, draft) {
    Object.keys(draft.values).forEach(function (name) {
      var part = form.elements[name];
      var found = /^(.+)-(\d+)-/.exec(name);
      if (!part && found && Number(found[2]) < 50) {
        var box = form.querySelector("[data-rows=" + found[1] + "]");
        while (box && !form.elements[name] && box.querySelectorAll("[data-row]").length <= Number(found[2])) addRow(box);
        part = form.elements[name];
      }
      if (part && "value" in part) part.value = draft.values[name];
    });
  }
  function say(form, text, withClear) {
    var note = document.querySelector("[data-draft-note]");
    if (!note) return;
    note.textContent = text + " ";
    note.hidden = false;
    note.setAttribute("role", "status");
    if (!withClear) return;
    var clear = document.createElement("button");
    clear.type = "button"; clear.className = "btn btn--s"; clear.textContent = form.dataset.clear;
    clear.addEventListener("click", function () { drop(form.dataset.draft); window.location.reload(); });
    note.appendChild(clear);
  }

  /* Whether our server answers now; a phone that says "online" may still have no way to it. */
  function reachable() {
    if (navigator.onLine === false) return Promise.resolve(false);
    var stop = new AbortController();
    var timer = window.setTimeout(function () { stop.abort(); }, 8000);
    /* The site's mark: a file that every way in front of the server lets through. */
    var mark = document.querySelector("link[rel=icon]").href;
    return fetch(mark, { method: "HEAD", cache: "no-store", signal: stop.signal })
      .then(function (answer) { return answer.ok; }, function () { return false; })
      .then(function (good) { window.clearTimeout(timer); return good; });
  }
  function send(form) {
    reachable().then(function (good) {
      if (!good) { save(form, true); say(form, form.dataset.waiting, false); form.dataset.sent = ""; return; }
      save(form, false);
      window.sessionStorage.setItem("sent-draft", form.dataset.draft);
      form.submit();
    });
  }

  document.querySelectorAll("[data-print]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () { window.print(); });
  });

  var form = document.querySelector("form[data-draft]");
  /* What was sent and led straight from the form to another page is done: its draft goes. A refused one comes back to
     the form itself, and one that met an ended session comes by way of the sign-in page: their drafts stay. */
  if (store && !form) {
    var sent = window.sessionStorage.getItem("sent-draft");
    if (sent && /\/new(\?|$)/.test(document.referrer)) drop(sent);
    window.sessionStorage.removeItem("sent-draft");
  }
  if (!store || !form) return;
  window.sessionStorage.removeItem("sent-draft");
  var draft = read(form.dataset.draft);
  if (draft && draft.values && !("typed" in form.dataset)) {
    restore(form, draft);
    if (draft.waiting) { say(form, form.dataset.waiting, true); send(form); }
    else say(form, form.dataset.kept, true);
  }
  form.addEventListener("input", function () { save(form); });
  form.addEventListener("change", function () { save(form); });
  form.addEventListener("submit", function (event) {
    if (event.submitter && event.submitter.name === "_more") return;
    event.preventDefault();
    clearUnused(form);
    save(form);
    send(form);
  });
  function again() {
    var kept = read(form.dataset.draft);
    if (kept && kept.waiting) send(form);
  }
  window.addEventListener("online", again);
  window.setInterval(again, 30000);
})();
