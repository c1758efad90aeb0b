/* The buyer's desk: sums of the basket as one types; the acceptance form's sums, scanner and draft. All of it works as
   plain forms without this file, but for the camera and the draft. */
(function () {
  "use strict";

  function filled(text, values) {
    return text.replace(/\{(\w+)\}/g, function (_, name) { return values[name] === undefined ? "" : values[name]; });
  }
  function thousands(text) { return text.replace(/\B(?=(\d{3})+(?!\d))/g, ","); }
  function yuan(fen) {
    var whole = Math.floor(fen / 100), part = String(fen % 100);
    return thousands(String(whole)) + "." + (part.length < 2 ? "0" + part : part);
  }
  /* 1234500 thousandths as "1,234.5" */
  function short(thousandths) {
    var whole = Math.floor(thousandths / 1000), rest = String(thousandths % 1000);
    while (rest.length < 3) rest = "0" + rest;
    rest = rest.replace(/0+$/, "");
    return thousands(String(whole)) + (rest ? "." + rest : "");
  }
  /* What was typed, as whole thousandths; 0 for what is no amount. Full-width digits are typed by input methods. */
  function amount(text) {
    text = text.replace(/[０-９．，]/g, function (sign) {
      return sign === "．" ? "." : sign === "，" ? "," : String.fromCharCode(sign.charCodeAt(0) - 0xfee0);
    }).replace(/[\s,]/g, "");
    var found = /^(\d{1,9})(?:\.(\d{1,3}))?$/.exec(text);
    return found ? Number(found[1]) * 1000 + Number(((found[2] || "") + "000").slice(0, 3)) : 0;
  }

  /* The basket. The server decides again; here the reader only sees at once what it will say. */
  document.querySelectorAll("form[data-basket]").forEach(function (form) {
    var rows = Array.prototype.slice.call(form.querySelectorAll("tr[data-line]")).map(function (row) {
      return {
        row: row, product: row.dataset.product, ladder: JSON.parse(row.dataset.ladder), net: Number(row.dataset.net),
        min: Number(row.dataset.min), multiple: Number(row.dataset.multiple), pack: row.dataset.pack,
        amount: row.querySelector("input[name$='-quantity']"), unit: row.querySelector("select[name$='-unit']"),
        hint: row.querySelector("[data-hint]"), price: row.querySelector("[data-price]"), next: row.querySelector("[data-next]"),
        goods: row.querySelector("[data-goods]"), counts: row.querySelector(".tag--yes") !== null
      };
    });
    function packs(line) {
      var typed = amount(line.amount.value), unit = line.unit.value;
      if (unit === "pack") return Math.ceil(typed / 1000);
      var grams = unit === "kg" ? typed : Math.ceil(typed / 2);
      return Math.ceil(Math.ceil(grams / line.net) / line.multiple) * line.multiple;
    }
    function step(ladder, quantity) {
      var found = ladder[0];
      ladder.forEach(function (each) { if (each[0] <= quantity) found = each; });
      return found;
    }
    function say(line, quantity, total) {
      var unit = line.unit.value, per = unit === "kg" ? 1000 : 500, typed = amount(line.amount.value), text = "";
      if (unit !== "pack" && quantity) {
        var ordered = quantity * line.net, exact = Math.round((unit === "kg" ? typed : typed / 2) * 100 / line.net) / 100;
        text = filled(form.dataset.sumText, {
          amount: line.amount.value.trim(), exact: exact, packs: thousands(String(quantity)), pack: line.pack,
          unit: unit === "kg" ? form.dataset.kg : form.dataset.jin, weight: short(ordered * 1000 / per),
          extra: short(Math.max(0, Math.round(ordered * 1000 / per) - typed))
        });
      } else if (quantity) {
        text = short(quantity * line.net) + form.dataset.kg + "（" + short(quantity * line.net * 2) + form.dataset.jin + "）";
      }
      if (quantity && total < line.min) text += "。" + filled(form.dataset.minText, { min: line.min, pack: line.pack });
      else if (quantity && total % line.multiple) {
        var low = total - total % line.multiple;
        text += "。" + filled(form.dataset.multipleText, {
          multiple: line.multiple, pack: line.pack, low: Math.max(low, line.min), high: low + line.multiple
        });
      }
      line.hint.textContent = text;
    }
    function count() {
      var totals = {}, sum = 0, counted = 0, groups = [];
      rows.forEach(function (line) { totals[line.product] = (totals[line.product] || 0) + packs(line); });
      rows.forEach(function (line) {
        if (!line.ladder.length) return;
        var quantity = packs(line), total = totals[line.product], now = step(line.ladder, total), goods = now[1] * quantity;
        line.price.textContent = yuan(now[1]);
        line.goods.textContent = yuan(goods);
        say(line, quantity, total);
        var later = line.ladder.filter(function (each) { return each[0] > total && each[1] < now[1]; })[0];
        if (line.next && later) line.next.textContent = filled(form.dataset.nextText, {
          more: thousands(String(later[0] - total)), pack: line.pack, price: yuan(later[1]), saves: yuan((now[1] - later[1]) * later[0])
        });
        else if (line.next) line.next.textContent = "";
        sum += goods;
        if (line.counts) counted += goods;
        var panel = line.row.closest("section").querySelector("[data-group-sum]");
        var known = groups.filter(function (each) { return each.panel === panel; })[0];
        if (known) known.sum += goods; else groups.push({ panel: panel, sum: goods });
      });
      groups.forEach(function (each) { each.panel.textContent = yuan(each.sum); });
      form.querySelector("[data-total]").textContent = yuan(sum);
      form.querySelector("[data-counted]").textContent = yuan(counted);
    }
    form.addEventListener("input", function (event) {
      if (/-(quantity|unit)$/.test(event.target.name)) count();
    });
    form.addEventListener("change", function (event) {
      if (/-unit$/.test(event.target.name)) count();
    });
  });
})();
