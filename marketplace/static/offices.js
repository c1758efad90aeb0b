/* The declaration form tells at once what it would reserve; the server reckons. Without this there is a button. */
(function () {
  "use strict";
  var form = document.querySelector("form[data-reckon]");
  if (!form || !window.fetch) return;
  var place = document.getElementById("reckoned");
  var button = document.getElementById("reckon-button");
  var timer = 0, asked = 0;
  button.hidden = true;
  function tell() {
    var base = form.elements.base_fen.value.trim();
    var chosen = form.querySelector("input[name=canteen]:checked");
    if (!base || !chosen) { place.textContent = ""; return; }
    var number = ++asked;
    var wishes = new URLSearchParams({
      agency_id: form.elements.agency_id.value, year: form.elements.year.value, canteen: chosen.value,
      base_fen: base, share_bp: form.elements.share_bp.value.trim()
    });
    fetch(form.dataset.reckon + "?" + wishes, { credentials: "same-origin" }).then(function (answer) {
      return answer.ok ? answer.json() : null;
    }).then(function (found) {
      if (number !== asked || !found) return;
      place.textContent = found.text;
      place.className = "reckoned " + (found.good ? "ok" : "bad");
    }).catch(function () { button.hidden = false; });
  }
  form.addEventListener("input", function () { window.clearTimeout(timer); timer = window.setTimeout(tell, 250); });
  tell();
})();
