/* The shop window: the calendar on a narrow screen, packs of a typed weight. Without it everything works as plain forms. */
(function () {
  "use strict";

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
    /* Full-width digits are typed by input methods. */
    function typedNumber() {
      var text = quantity.value.replace(/[０-９．]/g, function (sign) { return String.fromCharCode(sign.charCodeAt(0) - 0xfee0); });
      return Number(text.replace(/[，,\s]/g, ""));
    }
    function packs() {
      var typed = typedNumber();
      if (!(typed > 0) || typed > 1e7) return 0;
      var grams = { kg: 1000, jin: 500 }[unit.value];
      var exact = grams ? Math.round(typed * grams) / net : typed;
      return Math.max(least, Math.ceil(Math.ceil(exact - 1e-9) / step) * step);
    }
    /* Of a typed weight: how much more comes, and one multiple less where it lacks no more than a twentieth. */
    function apart(n) {
      var per = { kg: 1000, jin: 500 }[unit.value], typed = typedNumber();
      if (!per) return "";
      var extra = Math.round((n * net / per - typed) * 1000) / 1000, fewer = n - step;
      if (extra <= 0) return "";
      var lacking = Math.round((typed - fewer * net / per) * 1000) / 1000, word = unit.selectedOptions[0].textContent;
      var text = filled(form.dataset.extra, { extra: number(extra), unit: word });
      if (fewer >= least && lacking >= 0 && lacking * 20 <= typed) text += filled(form.dataset.fewer, {
        packs: number(fewer), pack: unit.options[0].textContent, lacking: number(lacking), unit: word,
        percent: (lacking * 100 / typed).toFixed(2) + "%"
      });
      return text + form.dataset.end;
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
      hint.textContent = text + apart(n) + plain;
      sum.textContent = yuan(n * price);
    }
    quantity.addEventListener("input", tell); unit.addEventListener("change", tell); tell();
  });
})();
