// `memweld ui` opens this page with a token behind #token=: it is never sent in an address, and leaves it at once.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = token;
  document.getElementById("token").form.submit();
}
