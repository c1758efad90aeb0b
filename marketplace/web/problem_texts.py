"""What each problem means and what to do about it, in Chinese: the pages behind the `type` of a problem.

A new slug gets a line here (held by a test); `SLUGS` also takes in every error class by itself, with the words
of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from marketplace import errors


@dataclass(frozen=True)
class ProblemText:
    title: str
    meaning: str
    next_step: str


# Status -> slug and title of errors that come from HTTP itself, before any rule of ours.
HTTP_TITLES: dict[int, tuple[str, str]] = {
    400: ("bad-request", "请求的格式有误"),
    404: ("not-found", errors.NotFound.title),
    405: ("method-not-allowed", "这个地址不支持这种操作"),
    406: ("not-acceptable", "没有您要的格式"),
    408: ("request-timeout", "请求没有及时发完"),
    411: ("length-required", "请求要带 Content-Length"),
    413: ("too-large", "内容太大"),
    414: ("address-too-long", "网址太长"),
    415: ("unsupported-media-type", "内容类型不对"),
    416: ("range-not-satisfiable", "没有所要的这一段"),
    422: ("invalid", errors.RuleViolation.title),
    429: ("too-many-requests", errors.Throttled.title),
    431: ("headers-too-large", "请求头太大"),
    500: ("internal-error", "系统出错，已记录"),
    503: ("unavailable", errors.Unavailable.title),
}

_BY_KIND: tuple[tuple[type[errors.MarketplaceError], str, str], ...] = (
    (errors.NotFound, "这一项不存在，或不在这个账号可以看到的范围内。", "请核对编号或网址，并确认登录的是本单位账号。"),
    (errors.Unauthenticated, "没有登录，或登录已经失效。", "请重新登录；接口请求要带有效的访问令牌。"),
    (errors.Forbidden, "这个账号的角色没有这项权限。", "请改用有权限的账号，或请单位管理员办理。"),
    (errors.PreconditionFailed, "您打开之后，内容已被别人改过。", "请重新读取最新内容，再作修改。"),
    (errors.Conflict, "请求本身没有错，但与现在的状态冲突；没有改动任何内容。", "请刷新后查看现在的状态，再决定怎样做。"),
    (errors.RuleViolation, "所填内容不符合规定；没有改动任何内容。", "请按提示逐项改正后再提交。"),
    (errors.Throttled, "短时间内请求太多。", "请按 Retry-After 给出的秒数等待后再试。"),
    (errors.Unavailable, "系统暂时不能处理；没有改动任何内容。", "请稍等几秒后重试，可以用原来的 Idempotency-Key。"),
    (errors.UpstreamFailure, "外部系统没有正常答复，结果还不确定。", "请不要重复付款；稍后查看状态，系统会自动核对。"),
    (errors.MarketplaceError, "这个请求没有被接受。", "请查看具体说明后再试。"),
)  # fmt: skip

_HTTP: dict[str, tuple[str, str]] = {
    "bad-request": ("请求不符合 HTTP 的格式。", "请检查网址、请求头和内容。"),
    "method-not-allowed": ("这个地址不支持所用的 HTTP 方法。", "请看 Allow 响应头列出的方法。"),
    "not-acceptable": ("没有 Accept 所要的格式。", "接口答复的都是 JSON。"),
    "request-timeout": ("请求没有在时限内发完。", "请检查网络后重试。"),
    "length-required": ("请求没有说明内容的长度。", "请带上 Content-Length。"),
    "too-large": ("内容超过大小上限：JSON 一兆字节，文件见上传说明。", "请分批提交，或压缩文件。在页面上填表的，按浏览器的“后退”回到表单，填的都还在，改短或换小文件后再交。"),
    "address-too-long": ("网址太长。", "请减少查询条件。"),
    "unsupported-media-type": (
        "接口只收 application/json；上传文件用 multipart/form-data。", "请改正 Content-Type。"),
    "range-not-satisfiable": ("所要的一段超出了内容的范围。", "请去掉 Range 请求头。"),
    "headers-too-large": ("请求头太大。", "请清除浏览器中本站的数据后重试。"),
    "internal-error": ("系统内部出错，已经记录；没有保存任何改动。", "请稍后重试；仍不行，请把请求编号告诉客服。"),
}  # fmt: skip

# slug -> title, meaning, next step of refusals that are named where they are raised.
_NAMED: dict[str, tuple[str, str, str]] = {
    "bad-json": ("JSON 有误", "内容不是严格的 JSON：语法错误、重复的键、NaN 或 Infinity、空字符、孤立的代理字符，或嵌套超过20层。",
                 "请用标准的 JSON 库生成内容，编码为不带 BOM 的 UTF-8。"),
    "foreign-origin": ("请求不是从本站页面发出的", "为防止跨站冒用，页面只收从本站页面提交的表单：Sec-Fetch-Site 要是 same-origin，没有它时 Origin 或 Referer 要是本站。",
                       "请打开本站页面后重新提交。程序不要提交表单：用 POST /api/v1/tokens 换令牌，调用 /api/v1 的接口。"),
    "idempotency-key-invalid": ("Idempotency-Key 无效", "Idempotency-Key 要有1到255个可打印的 ASCII 字符。", "请换一个，例如一个 UUID。"),
    "already-closed": ("已经关账", "这个月已经关账，数字不再改变。", "更正请记入本月。"),
    "above-accepted": ("超过验收金额", "开票金额超过了已验收而未开票的金额。", "请按验收金额开票。"),
    "above-captured": ("退款超过可退的金额", "这一单在线支付的钱已退或正在退，剩下的不够这次要退的金额。", "请按页面上的可退金额填写。"),
    "above-held": ("结算金额超过代收的金额", "支付渠道为这张付款单代收的钱没有这么多，或已结算、已退。", "请对照支付渠道的结算单。"),
    "attempt-live": ("上一次支付的结果还不确定", "支付渠道还没有明确答复，可能已经扣款。", "请不要重付；系统会自动核对，稍后再看。"),
    "document-kind": ("文件的种类不对", "这里要的是另一种文件。", "请上传或选择对应种类的文件。"),
    "gateway-amount": ("金额超过在线支付的上限", "支付渠道一笔最多收八位数（分）。", "请用银行转账，或分几张付款单。"),
    "gateway-not-configured": ("没有开通在线支付", "平台没有配置支付网关。", "请用对公转账付款。"),
    "held-by-regulator": ("停售由监管部门解除", "这一批由监管部门停售，或抽检不合格，供应商不能自己恢复销售。", "请联系监管部门。"),
    "inspection-contradiction": ("检测结果前后不一", "有一项超过限量，却写了合格。", "请对照检测报告改正。"),
    "insufficient-stock": ("库存不足", "现有批次不够所订的数量；shortages 列出每一种还有多少。", "请减少数量，或改换供货日期、商品。"),
    "invoice-not-checked": ("发票还没有验票", "付款前要先核验发票。", "请先完成验票。"),
    "invoice-number-used": ("发票号码已登记", "同一号码的发票已经登记过。", "请核对发票号码。"),
    "more-than-the-lot": ("盘点数太多", "盘点数加上已经发出的，比这一批采收的还多。", "请重新盘点，或另报一个批次。"),
    "no-bank-account": ("没有生效的收款账户", "收款方没有已生效的银行账户。", "请供应商登记账户，并等待审核生效。"),
    "no-policy": ("没有适用的政策规则", "这一天没有生效的政策规则。", "请扶贫办先录入规则。"),
    "not-captured": ("没有可退的在线支付", "这张付款单没有在线支付成功的款项，转账的钱由双方自行退回。", "请核对付款单。"),
    "not-parked": ("这笔到账不在待认领之列", "这笔到账已经认领或冲正。", "请刷新到账列表。"),
    "nothing-accepted": ("还没有验收", "订单还没有验收，不能开票或付款。", "请先办理验收。"),
    "nothing-left": ("没有剩余金额", "订单金额已经全部开票或付款。", "请查看已有的发票和付款。"),
    "one-payer": ("付款主体不一致", "一笔付款里的订单要属于同一付款主体。", "请按付款主体分开付款。"),
    "one-seller": ("收款方不一致", "一笔付款或一张发票里的订单要属于同一供应商。", "请按供应商分开办理。"),
    "paid-by-transfer": ("这张付款单用银行转账", "开付款单时选的是转账。", "请转账后交凭证，或取消后另开在线支付的付款单。"),
    "paid-online": ("这张付款单是在线支付", "在线支付由支付渠道证明到账，不收转账凭证。", "请在线支付，或取消后另开转账的付款单。"),
    "parent-cycle": ("上下级关系成环", "一个单位不能是自己的上级。", "请核对上级单位。"),
    "product-not-recognised": ("产品还没有认定", "产品认定以后才能报批次。", "请先提交产品，等待认定。"),
    "role-mismatch": ("角色与单位类别不符", "这类单位不能有这个角色的账号。", "请核对角色。"),
    "sales-day-reported": ("这一天的销售已经上报过", "同一门店一天只有一份销售报表；version 是现在有效的一版。发来的是一份早已被更正的报表时，superseded 是它的版号。", "要更正，请在 corrects 里写明更正的是哪一版。"),
    "same-person": ("不能由同一人办理", "提出和审核要由两个人办理。", "请另一位有权限的同事审核。"),
    "seller-may-answer": ("供应商仍可答复", "答复期限未到，还不能由扶贫办认定。", "请等到期限之后。"),
    "slip-amount-differs": ("凭证金额不符", "凭证金额与应付金额不一致。", "请核对付款凭证。"),
    "slip-complete": ("凭证已经齐全", "这笔付款的凭证已经齐全。", "不需要再提交。"),
    "slip-used": ("流水号已经用过", "这个银行流水号已登记在另一笔付款上。", "请核对银行流水号。"),
    "still-charged": ("支付渠道还留着付款人的钱", "作废之前，支付渠道扣的钱要全部退回付款人。", "请收款商户在支付渠道全额退款后再作废。"),
    "sum-differs": ("支付渠道的金额与付款单不符", "只有支付渠道现在持有的正好是付款单的金额，才能记为已扣款。", "请收款商户在支付渠道全额退款，再作废重付。"),
    "unknown-reference": ("引用的资料不存在", "所填的代码或编号不存在。", "请按提示核对。"),
    "which-order": ("没有写明退哪一个订单", "这张付款单付了几个订单。", "请写明订单编号对应的 order_id。"),
    "years-overlap": ("年度重叠", "同一县的认定年度不能重叠。", "请核对起止年度。"),
}  # fmt: skip


def _classes(kind: type[errors.MarketplaceError]) -> Iterator[type[errors.MarketplaceError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _classes(below)


class _Slugs(Mapping[str, ProblemText]):
    """slug -> its words. Error classes are looked up when asked: domain modules define theirs later."""

    def _table(self) -> dict[str, ProblemText]:
        table: dict[str, ProblemText] = {}
        for found in _classes(errors.MarketplaceError):
            meaning, step = next((m, s) for kind, m, s in _BY_KIND if issubclass(found, kind))
            table.setdefault(found.slug, ProblemText(found.title, meaning, step))
        for slug, title in HTTP_TITLES.values():
            if slug in _HTTP:
                table[slug] = ProblemText(title, *_HTTP[slug])
        table |= {slug: ProblemText(*words) for slug, words in _NAMED.items()}
        return table

    def __getitem__(self, slug: str) -> ProblemText:
        return self._table()[slug]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._table()))

    def __len__(self) -> int:
        return len(self._table())


SLUGS: Mapping[str, ProblemText] = _Slugs()

# marshmallow's own messages; those of our schemas are Chinese already.
_MESSAGES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Missing data for required field\.", "必须填写"),
        (r"Unknown field\.", "没有这个字段"),
        (r"Field may not be null\.", "不能为 null"),
        (r"Invalid input type\.", "要是一个 JSON 对象"),
        (r"Invalid type\.", "类型不对"),
        (r"Not a valid integer\.", "要是整数"),
        (r"Not a valid number\.", "要是数字"),
        (r"Not a valid string\.", "要是文字"),
        (r"Not a valid boolean\.", "要是 true 或 false"),
        (r"Not a valid UUID\.", "编号的格式不对"),
        (r"Not a valid date\.", "要是 YYYY-MM-DD 的日期"),
        (r"Not a valid (?:aware )?datetime\.", "要是带时区的时间"),
        (r"Not a valid list\.", "要是列表"),
        (r"Not a valid mapping type\.", "要是一个 JSON 对象"),
        (r"Not a valid url\.", "要是网址"),
        (r"Not a valid email address\.", "要是电子邮箱"),
        (r"Number too large\.", "数字太大"),
        (r"Field may not contain NUL.*", "不能有空字符"),
        (r"Must be one of: (.*)\.", r"要是以下之一：\1"),
        (r"Must be greater than or equal to (.+) and less than or equal to (.+)\.", r"要在\1到\2之间"),
        (r"Must be greater than or equal to (.+)\.", r"不能小于\1"),
        (r"Must be less than or equal to (.+)\.", r"不能大于\1"),
        (r"Must be greater than (.+)\.", r"要大于\1"),
        (r"Must be less than (.+)\.", r"要小于\1"),
        (r"Length must be between (.+) and (.+)\.", r"长度要在\1到\2之间"),
        (r"Length must be (.+)\.", r"长度要是\1"),
        (r"Longer than maximum length (.+)\.", r"最多\1个"),
        (r"Shorter than minimum length (.+)\.", r"至少\1个"),
        (r"String does not match expected pattern\.", "格式不对"),
        (r"Invalid value\.", "填写有误"),
        (r"Invalid input\.", "填写有误"),
    )
)  # fmt: skip


def in_chinese(message: str) -> str:
    for pattern, words in _MESSAGES:
        found = pattern.fullmatch(message)
        if found:
            return found.expand(words)
    return message
