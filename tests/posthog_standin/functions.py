"""The functions HogQL lets through. What is missing here is refused, as PostHog refuses it."""

import re

_PLAIN = """
    coalesce nullIf ifNull if multiIf isNull isNotNull assumeNotNull
    lower upper trim trimLeft trimRight length empty notEmpty concat substring startsWith endsWith position
    positionCaseInsensitive match extract extractAll replaceOne replaceAll replaceRegexpOne replaceRegexpAll
    splitByChar splitByString arrayStringConcat path pathFull domain domainWithoutWWW topLevelDomain protocol
    cutQueryString cutFragment cutQueryStringAndFragment queryString
    JSONExtract JSONExtractString JSONExtractRaw JSONExtractInt JSONExtractFloat JSONExtractBool JSONHas JSONLength
    JSONExtractKeys JSONExtractArrayRaw
    toString toInt toFloat toUUID toDate toDateTime toTimeZone toUnixTimestamp formatDateTime now dateDiff
    toStartOfDay toStartOfHour toStartOfWeek toStartOfMonth toStartOfMinute toHour toYear toMonth toDayOfWeek
    toYYYYMMDD addDays subtractDays toIntervalDay toIntervalHour toIntervalMinute toIntervalSecond
    intDiv modulo abs round floor ceil greatest least plus minus multiply divide
    equals notEquals less greater lessOrEquals greaterOrEquals and or not in notIn like ilike
    tuple tupleElement map mapKeys mapValues array range has hasAny hasAll indexOf
    arrayJoin arrayMap arrayFilter arrayExists arrayAll arrayCount arraySum arraySort arrayReverseSort arrayDistinct
    arrayUniq arrayFlatten arrayConcat arraySlice arrayElement arrayZip arrayCompact arrayMin arrayMax
    cityHash64
"""
PLAIN = frozenset(_PLAIN.split())
AGGREGATE = re.compile(
    r"(count|sum|min|max|avg|any|anyLast|argMin|argMax|uniq|uniqExact|groupArray|groupUniqArray|topK|sumMap|quantile"
    r"|median)(State|Merge)?(If)?"
)
CASTS = {"toInt": "Int64", "toFloat": "Float64", "toUUID": "UUID"}
ARITY = {
    "toDate": (1, 1), "toDateTime": (1, 1), "cityHash64": (1, 1), "toStartOfDay": (1, 2), "formatDateTime": (2, 3),
    "toInt": (1, 1), "toFloat": (1, 1), "toUUID": (1, 1), "toTimeZone": (2, 2), "now": (0, 0),
}  # fmt: skip
NEVER_NULL = re.compile(r"(count|uniq|group|topK|sumMap).*|isNull|isNotNull|assumeNotNull|tuple|array|map|now|in|notIn")
