"""Every visible string, in English and Chinese.

`say(language, key, **values)` fills in values that the caller has already escaped where they are a
visitor's own words. Technical terms (embedding, cosine, `i2it`) stay as the field writes them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh"]

LANGUAGES: tuple[tuple[str, Language], ...] = (("English", "en"), ("中文", "zh"))

TEXT: dict[str, dict[Language, str]] = {
    # The shell
    "tagline": {
        "en": "Pictures and texts as vectors in one space: see what an embedding model sees.",
        "zh": "图片与文本是同一个空间里的向量：看看嵌入模型看到了什么。",
    },
    "theme_button": {"en": "Light / dark", "zh": "浅色 / 深色"},
    "language_label": {"en": "Language", "zh": "语言"},
    "drop_files": {"en": "Drop files here, or click", "zh": "将文件拖到此处，或点击上传"},
    "tab_similarity": {"en": "Similarity", "zh": "相似度"},
    # Inputs
    "model_label": {"en": "Model", "zh": "模型"},
    "model_info": {
        "en": "Or type the id of a model on the hub, or a directory.",
        "zh": "也可以输入模型库中的模型 id 或本地目录。",
    },
    "model_unable": {
        "en": "{title} embeds {able}, not {lacks}, which is needed here. Choose another model.",
        "zh": "{title} 可嵌入{able}，但不能嵌入这里需要的{lacks}，请选择其他模型。",
    },
    "model_none": {"en": "none", "zh": "无"},
    "image1_label": {"en": "Image 1", "zh": "图片 1"},
    "image2_label": {"en": "Image 2", "zh": "图片 2"},
    "text_label": {"en": "Text", "zh": "文本"},
    "text_placeholder": {
        "en": "Describe something, or type a word",
        "zh": "描述点什么，或输入一个词",
    },
    "other_label": {"en": "Compare with", "zh": "与另一文本对比"},
    "other_placeholder": {
        "en": "A second text, to see what moves (optional)",
        "zh": "第二个文本，看看哪些数值变了（可选）",
    },
    "examples_label": {"en": "Try an example", "zh": "试试示例"},
    "example_wrong": {"en": "⚠ mini gets this wrong", "zh": "⚠ mini 会答错"},
    "sample_course": {"en": "the course's text:", "zh": "课程原文："},
    "swap_button": {"en": "Swap images", "zh": "交换图片"},
    "clear_other": {"en": "Clear", "zh": "清除"},
    # What a model can do
    "can_text": {"en": "text", "zh": "文本"},
    "can_image": {"en": "image", "zh": "图片"},
    "can_fused": {"en": "image + text", "zh": "图片 + 文本"},
    "fusion_native": {"en": "native", "zh": "原生"},
    "fusion_averaged": {"en": "averaged", "zh": "平均"},
    "fusion_none": {"en": "none", "zh": "无"},
    "on_machine": {"en": "on this machine", "zh": "已在本机"},
    "not_on_machine": {"en": "needs a download", "zh": "需要下载"},
    "dimensions": {"en": "{dim} dimensions", "zh": "{dim} 维"},
    "language_en": {"en": "English", "zh": "英语"},
    "language_zh": {"en": "Chinese", "zh": "中文"},
    "language_multilingual": {"en": "many languages", "zh": "多语言"},
    # Getting a model
    "model_unavailable": {"en": "{title} · cannot be had now", "zh": "{title} · 暂不可用"},
    "model_to_download": {
        "en": "{title} · {size} download · {licence}",
        "zh": "{title} · 需下载 {size} · {licence}",
    },
    "download_cost": {
        "en": "Not on this machine: a download of {size}, once. Licence: {licence}.",
        "zh": "不在本机：需一次性下载 {size}。许可证：{licence}。",
    },
    "licence_unknown": {"en": "not stated", "zh": "未注明"},
    "model_unlicensed": {
        "en": "{title} · {size} download",
        "zh": "{title} · 需下载 {size}",
    },
    "download_asking": {
        "en": "Asking the model hub for {size}…",
        "zh": "正在向模型库请求 {size}……",
    },
    "download_start_line": {"en": "{done} of {total}", "zh": "{done} / {total}"},
    "download_line": {
        "en": "{done} of {total} · {speed}/s · {left} left. You can leave; it goes on.",
        "zh": "{done} / {total} · {speed}/s · 剩余 {left}。可以离开，下载会继续。",
    },
    "download_done": {"en": "Downloaded.", "zh": "下载完成。"},
    "download_stop": {"en": "Stop the download", "zh": "停止下载"},
    "download_start": {"en": "Download {size}", "zh": "下载 {size}"},
    "model_back": {"en": "Back to {title}", "zh": "回到 {title}"},
    "model_without": {"en": "Go on without it", "zh": "不用它，继续"},
    "not_here": {
        "en": "{title} is not on this machine yet.",
        "zh": "{title} 尚未下载到本机。",
    },
    # The course
    "course_heading": {"en": "Reproduce the course's numbers", "zh": "重现课程中的数值"},
    "course_what": {
        "en": "Upload the course's datawhale01.png as image 1 and datawhale02.png as image 2; they "
        "are not ours to ship. The text is the course's own.",
        "zh": "请上传课程的 datawhale01.png 作为图片 1、datawhale02.png 作为图片 2"
        "（我们无权附带）。文本使用课程中的原文。",
    },
    "course_button": {"en": "Compute the four similarities", "zh": "计算四种相似度"},
    "course_pictures": {
        "en": "Two pictures are needed: the course's, as image 1 and image 2.",
        "zh": "需要两张图片：把课程的图片放到图片 1 和图片 2。",
    },
    "course_other": {
        "en": "This is the course's exercise with another model. The course used {title} and, with "
        "“{text}” and its own two pictures, got {values}. Scales differ between models: compare "
        "places among unrelated pairs, not these numbers.",
        "zh": "这是课程中的练习，但模型不同。课程使用 {title}，以“{text}”和课程自己的两张图片"
        "得到 {values}。不同模型的尺度不同：请比较在无关配对中的位置，而不是这些数值本身。",
    },
    "course_download": {
        "en": "To get that one, choose it in the list of models ({size}, once), or fetch it ahead "
        "of time: {command}",
        "zh": "要使用该模型，请在模型列表中选择（一次性下载 {size}），或提前下载：{command}",
    },
    "course_choose": {
        "en": "That one is on this machine: choose {choice} in the list of models.",
        "zh": "该模型已在本机：请在模型列表中选择 {choice}。",
    },
    "course_elsewhere": {
        "en": "This page does not offer that one; on a machine of your own ({size}, once): "
        "{command}",
        "zh": "本页面不提供该模型；可在自己的机器上下载（一次性 {size}）：{command}",
    },
    "course_pair": {"en": "pair", "zh": "配对"},
    "course_published": {"en": "published", "zh": "公布值"},
    "course_here": {"en": "here", "zh": "本机"},
    "course_difference": {"en": "difference", "zh": "差值"},
    "course_note": {
        "en": "Text: “{text}”. ✓ means the same within {tolerance}. The pictures are read as the "
        "reference does it, in the mode of their file; above, they are read as a person sees them, "
        "so a transparent or palette picture may give other numbers there.",
        "zh": "文本：“{text}”。✓ 表示差值不超过 {tolerance}。这里按参考实现的方式读取图片，"
        "保留文件自身的模式；上方则按人眼所见读取，因此透明或调色板图片的数值可能不同。",
    },
    # Results
    "results_heading": {
        "en": "Text · image, and four similarities",
        "zh": "文本 · 图片，以及四种相似度",
    },
    "bars_caption": {
        "en": "Cosine of each pair; fused means an image and the text embedded together.",
        "zh": "每一对向量的余弦；融合指图片与文本一起嵌入。",
    },
    "bars_caption_two": {
        "en": "Solid: “{text}”. Pale: “{other}”.",
        "zh": "深色：“{text}”。浅色：“{other}”。",
    },
    "bars_band": {
        "en": "The grey band below a bar holds 90 % of unrelated pairs of the same kind; the tick "
        "is their median.",
        "zh": "条形下方的灰带是同类无关配对中间的 90 %，竖线是其中位数。",
    },
    "matrix_heading": {"en": "Everything with everything", "zh": "两两之间"},
    "matrix_caption": {
        "en": "All ten cosines of the five vectors; darker is more alike. One scale per model: "
        "cosines of different models cannot be compared.",
        "zh": "五个向量之间的全部十个余弦，颜色越深越相似。"
        "色标只属于当前模型：不同模型的余弦不可比较。",
    },
    "matrix_of": {"en": "with “{text}”", "zh": "文本为“{text}”"},
    "kind_i2i": {"en": "image 1 · image 2", "zh": "图片 1 · 图片 2"},
    "kind_i2it": {"en": "image 1 · fused 1", "zh": "图片 1 · 融合 1"},
    "kind_t2it": {"en": "text · fused 1", "zh": "文本 · 融合 1"},
    "kind_it2it": {"en": "fused 1 · fused 2", "zh": "融合 1 · 融合 2"},
    "what_i2i": {
        "en": "The two pictures on their own; the text plays no part.",
        "zh": "只比较两张图片，与文本无关。",
    },
    "what_i2it": {
        "en": "Image 1 against image 1 with the text: how far the text turns the picture. Image 2 "
        "plays no part.",
        "zh": "图片 1 与“图片 1 + 文本”：文本把图片转开了多远。与图片 2 无关。",
    },
    "what_t2it": {
        "en": "The text against image 1 with the text: how much of the fused vector is text. "
        "Image 2 plays no part.",
        "zh": "文本与“图片 1 + 文本”：融合向量里有多少来自文本。与图片 2 无关。",
    },
    "what_it2it": {
        "en": "Both pictures, each with the same text: what a shared text adds.",
        "zh": "两张图片各自加上同一文本：共同的文本带来多少。",
    },
    "what_t2i": {
        "en": "The text against each picture itself, nothing fused. Of all the numbers here, only "
        "this one can answer the question.",
        "zh": "文本直接与每张图片比较，不做融合。这里只有这个数值能回答上面的问题。",
    },
    "percentile": {
        "en": "Higher than {percent} of {pairs} unrelated pairs.",
        "zh": "高于 {pairs} 个无关配对中的 {percent}。",
    },
    "percentile_it2it": {
        "en": "Higher than {percent} of {pairs} unrelated pairs that share a text.",
        "zh": "高于 {pairs} 个共用一段文本的无关配对中的 {percent}。",
    },
    "percentile_t2i": {
        "en": "Higher than {percent} of {pairs} unrelated pairs of a picture and a label.",
        "zh": "高于 {pairs} 个无关的图片与标签配对中的 {percent}。",
    },
    "second_text": {"en": "Second text:", "zh": "第二个文本："},
    "no_background": {
        "en": "The background set of this model is measured on this machine at its first use; "
        "until then there are no percentiles.",
        "zh": "该模型的背景集在本机首次使用时测量，在此之前没有百分位。",
    },
    # How alike two pictures are, by percentile: below 25, 25 to 75, 75 to 95, above
    "means_i2i_low": {
        "en": "The pictures are less alike than most unrelated ones.",
        "zh": "两张图片不如多数无关图片相似。",
    },
    "means_i2i_even": {
        "en": "The pictures are no more alike than unrelated ones.",
        "zh": "两张图片与无关图片差不多。",
    },
    "means_i2i_high": {
        "en": "The pictures are more alike than most unrelated ones.",
        "zh": "两张图片比多数无关图片更相似。",
    },
    "means_i2i_top": {
        "en": "The pictures are clearly alike: few unrelated ones get this far.",
        "zh": "两张图片明显相似：很少有无关图片达到这个数值。",
    },
    # How far the fused vector stands from what it is made of
    "means_i2it_ranked": {
        "en": "{angle} from image 1, nearer than in {percent} of {pairs} unrelated pairs.",
        "zh": "与图片 1 相距 {angle}，比 {pairs} 个无关配对中的 {percent} 更近。",
    },
    "means_i2it": {"en": "{angle} from image 1.", "zh": "与图片 1 相距 {angle}。"},
    "means_t2it_ranked": {
        "en": "{angle} from the text, nearer than in {percent} of {pairs} unrelated pairs.",
        "zh": "与文本相距 {angle}，比 {pairs} 个无关配对中的 {percent} 更近。",
    },
    "means_t2it": {"en": "{angle} from the text.", "zh": "与文本相距 {angle}。"},
    "leans_text": {
        "en": "Image 1 is {other} away: the fused vector is mostly text.",
        "zh": "与图片 1 相距 {other}：融合向量以文本为主。",
    },
    "leans_image": {
        "en": "Image 1 is only {other} away: the fused vector is mostly picture.",
        "zh": "与图片 1 只相距 {other}：融合向量以图片为主。",
    },
    "leans_half": {
        "en": "Image 1 is {other} away: the fused vector is about half of each.",
        "zh": "与图片 1 相距 {other}：融合向量中两者大约各占一半。",
    },
    # What a shared text adds to two pictures
    "adds_more": {
        "en": "The pictures alone are at {alone}: the shared text draws them together ({change}).",
        "zh": "只有图片时为 {alone}：共同的文本让它们靠近（{change}）。",
    },
    "adds_less": {
        "en": "The pictures alone are at {alone}: with the shared text they are further apart "
        "({change}).",
        "zh": "只有图片时为 {alone}：加上共同的文本后反而更远（{change}）。",
    },
    "adds_nothing": {
        "en": "The pictures alone are at {alone}: the shared text changes nothing.",
        "zh": "只有图片时为 {alone}：共同的文本没有带来变化。",
    },
    # Whether a picture shows the text: said here, from text and picture, and nowhere else
    "shows_heading": {
        "en": "Does it show “{text}”?",
        "zh": "图中是“{text}”吗？",
    },
    "shows_heading_two": {
        "en": "Does it show “{text}”? And “{other}”?",
        "zh": "图中是“{text}”吗？是“{other}”吗？",
    },
    "shows_yes": {
        "en": "probably shows it (chance {percent})",
        "zh": "很可能符合文本（可能性 {percent}）",
    },
    "shows_no": {
        "en": "probably does not show it (chance {percent})",
        "zh": "很可能不符合文本（可能性 {percent}）",
    },
    "shows_unsure": {"en": "not sure (chance {percent})", "zh": "不确定（可能性 {percent}）"},
    "shows_note": {
        "en": "Chance: how often a text with this cosine is right, where one text in two is; "
        "measured on labelled pictures. Yes or no is said only where nine of ten such answers were "
        "right. A high place among unrelated pairs is not yet a yes.",
        "zh": "可能性：具有该余弦的文本有多大机会说对，在带标注的图片上测量，"
        "假设每两段文本中有一段说对。只有十次回答能对九次时才下结论。在无关配对中位置较高，还不足以下结论。",
    },
    "shows_uncalibrated": {
        "en": "This model is not calibrated on labelled pictures: there is a number and its place "
        "among unrelated pairs, and no yes or no.",
        "zh": "该模型没有用带标注的图片校准：只有数值及其在无关配对中的位置，不下结论。",
    },
    "moved_heading": {"en": "What moved:", "zh": "哪些变了："},
    "moved": {
        "en": "From “{text}” to “{other}”: most of all {kind} ({change}). "
        "{still} stays, because the text plays no part in it.",
        "zh": "从“{text}”换成“{other}”：变化最大的是 {kind}（{change}）。"
        "{still} 不变，因为它与文本无关。",
    },
    "moved_none": {
        "en": "“{text}” and “{other}” give the same numbers.",
        "zh": "“{text}”与“{other}”得到相同的数值。",
    },
    # Folded away
    "details_label": {"en": "Vectors and timings", "zh": "向量与用时"},
    "vectors_caption": {
        "en": "The first ten of {dim} values of each vector. Every vector has length 1.",
        "zh": "每个向量 {dim} 个值中的前十个。每个向量的长度都是 1。",
    },
    "label_text": {"en": "text", "zh": "文本"},
    "label_image 1": {"en": "image 1", "zh": "图片 1"},
    "label_image 2": {"en": "image 2", "zh": "图片 2"},
    "label_fused 1": {"en": "fused 1", "zh": "融合 1"},
    "label_fused 2": {"en": "fused 2", "zh": "融合 2"},
    "time_open": {"en": "opening the pictures", "zh": "打开图片"},
    "time_image": {"en": "vision tower", "zh": "视觉塔"},
    "time_text": {"en": "text tower", "zh": "文本塔"},
    "time_fused": {"en": "fusing", "zh": "融合"},
    "time_total": {"en": "in all", "zh": "合计"},
    "time_cached": {
        "en": "What was seen before comes from the cache and takes no time.",
        "zh": "见过的内容来自缓存，不再耗时。",
    },
    # Notes and messages
    "note_truncated": {
        "en": "Only the first {used} of the text's {total} tokens were read.",
        "zh": "文本共 {total} 个 token，只读取了前 {used} 个。",
    },
    "note_temperature": {
        "en": "The checkpoint of {model} does not hold its temperature; the probabilities use the "
        "one that its training began with ({temperature}).",
        "zh": "{model} 的检查点没有保存温度；概率使用训练开始时的温度（{temperature}）。",
    },
    "note_language": {
        "en": "{model} reads {languages}; {share} % of this text's letters are of another script, "
        "so numbers that involve the text mean little.",
        "zh": "{model} 只读{languages}，而这段文本有 {share} % 的字符属于其他文字，"
        "涉及文本的数值意义不大。",
    },
    "and": {"en": " and ", "zh": "和"},
    "note_native": {
        "en": "Fused here is the model's own: it reads image and text together.",
        "zh": "这里的融合是模型自身的：图片与文本由它一起读取。",
    },
    "note_averaged": {
        "en": "Fused here is the average of image and text: this model has no fused embedding of "
        "its own.",
        "zh": "这里的融合是图片与文本的平均：该模型没有自己的融合嵌入。",
    },
    "need_image": {
        "en": "Add {which}: upload, paste, use the webcam, or pick an example.",
        "zh": "请添加{which}：上传、粘贴、摄像头拍照，或选择一个示例。",
    },
    "need_text": {
        "en": "Type a text, or pick one below the field.",
        "zh": "请输入文本，或在输入框下方选择。",
    },
    "stale": {
        "en": "The results shown are of the previous comparison.",
        "zh": "显示的仍是上一次比较的结果。",
    },
    "in_field": {"en": "{field}: {message}", "zh": "{field}：{message}"},
    "busy_title": {"en": "Too much at once", "zh": "同时的请求太多"},
    "unexpected": {
        "en": "Something went wrong here. Your input is kept; try again, or other pictures.",
        "zh": "我们这边出了点问题。您的输入仍在，请重试或换一张图片。",
    },
    "loading": {
        "en": "Loading the model and comparing the first example…",
        "zh": "正在加载模型并比较第一个示例……",
    },
    "awaits_model": {
        "en": "Loading {title}… The comparison follows.",
        "zh": "正在加载 {title}……随后进行比较。",
    },
    "awaits_turn": {
        "en": "The model is busy. Requests that wait for it: {count}.",
        "zh": "模型正忙，等待它的请求：{count} 个。",
    },
    "awaits_result": {
        "en": "Comparing…",
        "zh": "正在比较……",
    },
    # Zero-shot classification: inputs
    "tab_zero_shot": {"en": "Zero-shot", "zh": "零样本分类"},
    "beside_label": {"en": "And beside it", "zh": "并排比较"},
    "beside_scale": {
        "en": "Its cosines are on a scale of its own: compare places among unrelated pairs, not "
        "numbers.",
        "zh": "它的余弦自成一套尺度：请比较在无关配对中的位置，而不是数值本身。",
    },
    "beside_fold": {"en": "Compare models side by side", "zh": "并排比较多个模型"},
    "pictures_label": {"en": "Pictures", "zh": "图片"},
    "pictures_examples": {"en": "Examples", "zh": "示例图片"},
    "pictures_one": {"en": "One picture", "zh": "一张图片"},
    "pictures_clear": {"en": "Clear", "zh": "清除"},
    "labels_label": {
        "en": "Candidate labels, one a line or separated by commas",
        "zh": "候选标签：每行一个，或用逗号分隔",
    },
    "labels_everyday": {"en": "everyday things", "zh": "日常事物"},
    "labels_animals": {"en": "animals", "zh": "动物"},
    "labels_food": {"en": "food", "zh": "食物"},
    "labels_styles": {"en": "styles", "zh": "绘画风格"},
    "labels_course": {"en": "the course's", "zh": "课程用语"},
    # A ready label set that the embedded model gets wrong: said below the sets and at the results
    "labels_wrong_styles": {
        "en": "⚠ styles: mini gets this wrong. It learnt what things are called, not how pictures "
        "are made: it finds the logo, the rest ends in “none of these”.",
        "zh": "⚠ 绘画风格：mini 会答错。它学的是物品叫什么，而不是画面如何制作："
        "只认出标志，其余都落入“以上都不是”。",
    },
    "templates_label": {"en": "Prompt templates", "zh": "提示模板"},
    "templates_lines": {
        "en": "Templates, one a line; {{}} stands for the label",
        "zh": "模板：每行一个，{{}} 代表标签",
    },
    "templates_own": {"en": "my own lines", "zh": "自定义"},
    "templates_plain": {"en": "one plain prompt", "zh": "单个英文提示"},
    "templates_openai-7": {"en": "OpenAI's 7", "zh": "OpenAI 的 7 个"},
    "templates_openai-80": {"en": "OpenAI's 80", "zh": "OpenAI 的 80 个"},
    "templates_plain-zh": {"en": "one plain prompt, Chinese", "zh": "单个中文提示"},
    "templates_openai-7-zh": {"en": "the 7 in Chinese", "zh": "7 个的中文版"},
    "templates_openai-80-zh": {
        "en": "the 80 in Chinese (42 lines)",
        "zh": "80 个的中文版（42 行）",
    },
    "reject_label": {"en": "Allow “none of these”", "zh": "允许“以上都不是”"},
    "stop_button": {"en": "Stop", "zh": "停止"},
    # Zero-shot classification: results
    "zs_heading": {"en": "What each picture shows", "zh": "每张图片是什么"},
    "zs_softmax": {
        "en": "Softmax over the labels: probability ∝ exp({scale} × cosine); temperature "
        "{temperature}. The probabilities of a picture sum to 100 %.",
        "zh": "对标签做 softmax：概率 ∝ exp({scale} × 余弦)，温度 {temperature}。"
        "每张图片的概率之和为 100 %。",
    },
    "zs_sigmoid": {
        "en": "Sigmoid, label by label: probability = 1 / (1 + exp(−({scale} × cosine {bias}))); "
        "temperature {temperature}. Each label is a yes or no of its own, so they need not sum to "
        "100 %.",
        "zh": "逐标签 sigmoid：概率 = 1 / (1 + exp(−({scale} × 余弦 {bias})))，"
        "温度 {temperature}。每个标签各自是或否，因此总和不必为 100 %。",
    },
    "zs_matching": {
        "en": "match is the second head's answer: it reads picture and label together, and the two "
        "heads may disagree.",
        "zh": "“匹配”来自第二个输出头：它把图片和标签一起读，两个头可能意见不一。",
    },
    "zs_probability": {"en": "probability", "zh": "概率"},
    "zs_cosine": {"en": "cosine", "zh": "余弦"},
    "zs_percentile": {"en": "percentile", "zh": "百分位"},
    "zs_best_of": {"en": "best of {count}", "zh": "{count} 个中最佳"},
    "zs_no_winner": {"en": "No label stands out.", "zh": "没有突出的标签。"},
    "zs_match": {"en": "match", "zh": "匹配"},
    "zs_none": {"en": "none of these", "zh": "以上都不是"},
    "zs_more": {"en": "and {count} more labels", "zh": "还有 {count} 个标签"},
    "zs_percentile_note": {
        "en": "Percentile: the share of {pairs} unrelated pictures and prompts with a lower "
        "cosine.",
        "zh": "百分位：{pairs} 个无关的图片与提示配对中，余弦更低者所占比例。",
    },
    "zs_best_of_note": {
        "en": "The first label is the best of {count}: of {count} unrelated ones, the best lies "
        "near {expected} % by chance.",
        "zh": "排第一的是 {count} 个中最佳：{count} 个无关标签里，"
        "最佳者碰巧也在 {expected} % 左右。",
    },
    "zs_measuring": {
        "en": "Percentiles, and “none of these”, follow once the background set of this model is "
        "measured ({percent} %).",
        "zh": "该模型的背景集测量完成后（{percent} %），会给出百分位与“以上都不是”。",
    },
    "zs_none_softmax": {
        "en": "“None of these” stands at cosine {cosine}, which an unrelated label exceeds in one "
        "of ten pictures.",
        "zh": "“以上都不是”位于余弦 {cosine}：十张图片里只有一张的无关标签会超过它。",
    },
    "zs_no_winner_softmax": {
        "en": "A label stands out from cosine {cosine} on, which an unrelated label exceeds in one "
        "of ten pictures.",
        "zh": "余弦达到 {cosine} 的标签才算突出：十张图片里只有一张的无关标签会超过它。",
    },
    "zs_no_winner_sigmoid": {
        "en": "A label stands out from 50 % on.",
        "zh": "概率达到 50 % 的标签才算突出。",
    },
    "zs_none_sigmoid": {
        "en": "“None of these” is the chance that every single label fails.",
        "zh": "“以上都不是”是每个标签都不成立的概率。",
    },
    "zs_picture": {"en": "Picture {number}", "zh": "图片 {number}"},
    "zs_matrix_heading": {"en": "Pictures × labels", "zh": "图片 × 标签"},
    "zs_matrix_caption": {
        "en": "Probability, and below it the cosine; the stronger the colour, the higher the "
        "cosine, on this model's own scale. Outlined: the best label of a picture, if it stands "
        "out.",
        "zh": "上为概率，下为余弦；颜色越浓余弦越高，色标只属于该模型。"
        "加框的是该图片最佳且突出的标签。",
    },
    "zs_prompts_heading": {"en": "What the prompt did", "zh": "提示做了什么"},
    "zs_prompts_caption": {
        "en": "Cosine of picture {number} with its best labels: the bare label, every template, "
        "and the ensemble, which averages the templates. Wide rows are labels that depend on the "
        "wording.",
        "zh": "图片 {number} 与其最佳标签的余弦：裸标签、各个模板，以及对模板求平均的集成。"
        "分布越宽的行，越依赖措辞。",
    },
    "zs_pick": {"en": "Show the prompts for", "zh": "查看哪张图片的提示"},
    "zs_bare": {"en": "bare label", "zh": "裸标签"},
    "zs_template": {"en": "one template", "zh": "单个模板"},
    "zs_ensemble": {"en": "ensemble", "zh": "集成"},
    "zs_take_away": {"en": "Take it away", "zh": "带走结果"},
    "zs_json": {"en": "JSON", "zh": "JSON"},
    "zs_csv": {"en": "CSV", "zh": "CSV"},
    "zs_python": {"en": "Python", "zh": "Python"},
    "zs_prompts_progress": {
        "en": "{model}: {done} of {total} prompts embedded",
        "zh": "{model}：已嵌入 {done} / {total} 个提示",
    },
    "zs_pictures_progress": {
        "en": "{model}: {done} of {total} pictures embedded",
        "zh": "{model}：已嵌入 {done} / {total} 张图片",
    },
    "zs_matching_progress": {
        "en": "{model}: matching head, {done} of {total} pictures",
        "zh": "{model}：匹配头已处理 {done} / {total} 张图片",
    },
    "zs_need_model": {"en": "Choose a model.", "zh": "请选择模型。"},
    "zs_stopped": {
        "en": "Stopped. What was embedded is kept; change anything to go on.",
        "zh": "已停止。已嵌入的部分会保留，修改任意输入即可继续。",
    },
    "zs_need_pictures": {
        "en": "Add a picture: upload, paste, use the webcam, or take the examples.",
        "zh": "请添加图片：上传、粘贴、摄像头拍照，或使用示例。",
    },
    "zs_duplicates": {
        "en": "Labels that were given twice count once.",
        "zh": "重复的标签只计一次。",
    },
    "zs_waiting": {
        "en": "Classifying… what is shown is of the previous input.",
        "zh": "正在分类……显示的仍是上一次输入的结果。",
    },
    "zs_loading": {
        "en": "Classifying the example pictures…",
        "zh": "正在对示例图片分类……",
    },
    # Text retrieval: inputs
    "tab_text": {"en": "Text (BGE-M3)", "zh": "文本检索 (BGE-M3)"},
    "rank_query": {"en": "Query", "zh": "查询"},
    "rank_query_placeholder": {"en": "What are you looking for?", "zh": "想找什么？"},
    "rank_passages": {
        "en": "Passages, parted by empty lines (or one a line)",
        "zh": "候选段落：用空行分隔（或每行一段）",
    },
    "rank_passages_placeholder": {
        "en": "Type or paste passages, in any languages",
        "zh": "输入或粘贴段落，语言不限",
    },
    "rank_whole": {"en": "Read all of it as one passage", "zh": "全部作为一段来读"},
    "rank_document": {
        "en": "Or drop a text file (.txt, .md): it is split into passages",
        "zh": "或拖入文本文件（.txt、.md），会自动切分成段落",
    },
    "rank_button": {"en": "Rank", "zh": "排序"},
    "rank_example_whales": {"en": "Example: whales", "zh": "示例：蓝鲸"},
    "rank_example_codes": {"en": "Example: a fault code", "zh": "示例：故障代码"},
    "rank_weight_dense": {"en": "Dense weight", "zh": "稠密权重"},
    "rank_weight_sparse": {"en": "Sparse weight", "zh": "稀疏权重"},
    "rank_weight_multi_vector": {"en": "Multi-vector weight", "zh": "多向量权重"},
    # Text retrieval: results
    "rank_heading": {"en": "The same passages, ranked four ways", "zh": "同一批段落，四种排序"},
    "rank_caption": {
        "en": "A passage keeps its number and colour. Arrows say how many places a ranking differs "
        "from the weighted sum. Click a passage to see why.",
        "zh": "每个段落的编号和颜色不变。箭头表示该排序与加权和相差几位。点击段落查看原因。",
    },
    "rank_dense": {"en": "dense", "zh": "稠密"},
    "rank_sparse": {"en": "sparse", "zh": "稀疏"},
    "rank_multi_vector": {"en": "multi-vector", "zh": "多向量"},
    "rank_hybrid": {"en": "weighted sum", "zh": "加权和"},
    "rank_dense_what": {"en": "one vector a text: the gist", "zh": "每段一个向量：大意"},
    "rank_sparse_what": {"en": "a weight a word: the wording", "zh": "每个词一个权重：用词"},
    "rank_multi_vector_what": {
        "en": "a vector a token: the details",
        "zh": "每个 token 一个向量：细节",
    },
    "rank_hybrid_what": {"en": "together, by the sliders", "zh": "按滑块合成"},
    "rank_lacking": {
        "en": "{model} has no lexical weights: sparse needs the real weights of BGE-M3. Choose "
        "BGE-M3 in the list of models (2.3 GB, once), fetch it ahead of time with <code>python -m "
        "mmdemo download bge-m3</code>, or name a directory with its files in "
        "<code>MMDEMO_MODELS</code>.",
        "zh": "{model} 没有词权重：稀疏检索需要 BGE-M3 的真实权重。请在模型列表中选择 BGE-M3"
        "（一次性下载 2.3 GB），或提前运行 <code>python -m mmdemo download bge-m3</code>，"
        "或在 <code>MMDEMO_MODELS</code> 中填写含有其文件的目录。",
    },
    "rank_more": {"en": "{count} more", "zh": "其余 {count} 段"},
    "rank_read": {
        "en": "{passages} passages and the query: {tokens} tokens read, {seconds}.",
        "zh": "{passages} 个段落加查询：读取 {tokens} 个 token，用时 {seconds}。",
    },
    "rank_truncated": {
        "en": "Of passage {number} the first {used} of {total} tokens were read; the last {left} % "
        "were left out.",
        "zh": "段落 {number} 共 {total} 个 token，只读取了前 {used} 个，略去了最后的 {left} %。",
    },
    "rank_truncated_more": {
        "en": "So were {count} more, marked ✂.",
        "zh": "另有 {count} 段也被截断，以 ✂ 标出。",
    },
    "rank_no_weight": {
        "en": "All weights are 0, so the weighted sum orders nothing.",
        "zh": "所有权重都是 0，加权和没有排序意义。",
    },
    "rank_progress": {"en": "Encoding… {percent} %", "zh": "正在编码…… {percent} %"},
    "rank_stopped": {
        "en": "Stopped. What was encoded is kept; rank again to go on.",
        "zh": "已停止。已编码的部分会保留，再次排序即可继续。",
    },
    "rank_need_query": {"en": "Type a query.", "zh": "请输入查询。"},
    "rank_need_passages": {
        "en": "Add passages: type or paste them, or drop a text file.",
        "zh": "请添加段落：输入、粘贴，或拖入文本文件。",
    },
    "rank_changed": {
        "en": "The ranking is of another query or other passages. Press Rank.",
        "zh": "显示的是另一查询或另一批段落的排序，请点击“排序”。",
    },
    "rank_stale": {
        "en": "The results shown are of the previous ranking.",
        "zh": "显示的仍是上一次排序的结果。",
    },
    "rank_waiting": {
        "en": "Ranking… what is shown is of the previous ranking.",
        "zh": "正在排序……显示的仍是上一次的结果。",
    },
    "rank_loading": {"en": "Ranking the example…", "zh": "正在对示例排序……"},
    # Text retrieval: why
    "why_heading": {"en": "Why", "zh": "原因"},
    "why_caption": {
        "en": "What each way of scoring saw in one passage.",
        "zh": "每种打分方式在这一段里看到了什么。",
    },
    "why_pick": {"en": "Passage", "zh": "段落"},
    "why_dense": {
        "en": "The cosine of two vectors, one for the query and one for the passage. It cannot say "
        "which words it came from: that is the price of a single vector.",
        "zh": "查询与段落各一个向量，这是它们的余弦。它说不出来自哪些词：单个向量的代价正在于此。",
    },
    "why_percentile": {
        "en": "Higher than {percent} of {pairs} unrelated pairs of texts.",
        "zh": "高于 {pairs} 个无关文本配对中的 {percent}。",
    },
    "why_measuring": {
        "en": "The percentile follows once the background set of this model is measured "
        "({percent} %).",
        "zh": "该模型的背景集测量完成后（{percent} %），会给出百分位。",
    },
    "why_query": {"en": "Query", "zh": "查询"},
    "why_passage": {"en": "Passage", "zh": "段落"},
    "why_sparse": {
        "en": "{count} shared tokens; weight in the query times weight in the passage, summed: "
        "{score}. What only one side has counts nothing.",
        "zh": "共有 {count} 个 token；查询中的权重乘以段落中的权重再求和：{score}。"
        "只有一边出现的不计分。",
    },
    "why_nothing_shared": {
        "en": "Query and passage share no weighted token, so the score is 0, however close their "
        "meaning.",
        "zh": "查询与段落没有共同的带权 token，得分为 0，无论意思多么接近。",
    },
    "why_multi_vector": {
        "en": "Each of the query's {count} tokens takes its best match in the passage (marked); "
        "the mean of these is the score, {score}.",
        "zh": "查询的 {count} 个 token 各取段落中最匹配的一个（已标出），"
        "其平均值就是得分 {score}。",
    },
    "why_no_tokens": {
        "en": "One of the two has no tokens to match, so the score is 0.",
        "zh": "其中一方没有可匹配的 token，得分为 0。",
    },
    "why_window": {
        "en": "Shown: tokens {start} to {end} of {total}, the stretch that matters most.",
        "zh": "只显示第 {start} 到 {end} 个 token（共 {total} 个），即最相关的一段。",
    },
    "why_rows": {
        "en": "Shown: the first {shown} of the query's {total} tokens.",
        "zh": "只显示查询 {total} 个 token 中的前 {shown} 个。",
    },
    "why_outside": {
        "en": "{count} best matches lie outside the picture; the list above names them.",
        "zh": "有 {count} 个最佳匹配在图外，见上方列表。",
    },
}

# Errors in Chinese, by the code that `errors.MMDemoError` carries. Their English is the message
# itself, written where the error is raised.
_ACCEPTED_ZH = (
    "Visualized-BGE（含 BAAI/bge-base-en-v1.5 或 BAAI/bge-m3 的 config.json 与分词器，"
    "以及一个 Visualized_*.pth 或 .safetensors 的目录）；"
    "BGE-M3（含 BAAI/bge-m3 各文件的目录，包括 sparse_linear.pt 与 colbert_linear.pt）；"
    "由 transformers 连同处理器一起保存的 CLIP、SigLIP、固定分辨率的 SigLIP 2、"
    "ALIGN 与检索用 BLIP。"
)

ERRORS_ZH: dict[str, str] = {
    "damaged": "这张图片已损坏或不完整，无法完整读取。请用看图软件打开后重新保存为 {accepted}。",
    "no_file": "没有可读取的图片文件“{name}”。请检查文件名后重试。",
    "file_changed": "这个图片文件在使用期间被更改了。请重试。",
    "file_size": "该文件有 {size} MB，最多接受 {limit} MB。请缩小，例如长边 2000 像素。",
    "file_empty": "该文件是空的。请选择图片：{accepted}。",
    "no_pixels": "这张图片没有像素，请换一张。",
    "pixels": "这张图片有 {size} 像素，最多接受 {limit} 百万像素。请缩小，例如长边 2000 像素。",
    "aspect": "这张图片是 {width} x {height} 像素：一边超过另一边的 {limit} 倍。请裁剪。",
    "svg": "这是 SVG 或 XML 文件，请导出为 PNG。可接受：{accepted}。",
    "pdf": "这是 PDF，请截图或导出为 PNG。可接受：{accepted}。",
    "html": "这是网页，请保存图片本身。可接受：{accepted}。",
    "zip": "这是 ZIP 或 Office 文件，请取出其中的图片。可接受：{accepted}。",
    "heic": "这是 HEIC 照片，请导出或分享为 JPEG。可接受：{accepted}。",
    "not_picture": "该文件不是可读取的图片。可接受：{accepted}。",
    "offline": "{name} 不在本机，也无法连接 {host}：请在有网络时预先运行 "
    "python -m mmdemo download {name}，或把 HF_ENDPOINT 设为镜像，"
    "或在 MMDEMO_MODELS 中填写含有其文件的本地目录。",
    "offline_setting": "{name} 不在本机，而 HF_HUB_OFFLINE 禁止下载：请在有网络时预先运行 "
    "python -m mmdemo download {name}，或把 HF_ENDPOINT 设为镜像，"
    "或在 MMDEMO_MODELS 中填写含有其文件的本地目录。",
    "broken_off": "{name} 的下载中断了，已保留 {here}（共 {total}）。"
    "请检查网络后重新开始，会从中断处继续。",
    "hub_refused": "{host} 对 {name} 的文件返回了 {status}。请稍后重试，"
    "或检查 HF_ENDPOINT，必要时检查 HF_TOKEN。",
    "no_repository": "{host} 上没有公开模型 {name}。请检查拼写（形如 owner/name）；"
    "若模型非公开，或须先接受其条款，运行本程序的人需设置 HF_TOKEN；"
    "页面对他人开放时，还需把它写入 MMDEMO_MODELS。",
    "hub_model_not_here": "{name} 不在本机上。请在页面中选择它以下载，"
    "或运行 python -m mmdemo download {name}。",
    "hub_ids_refused": "在此页面上不能自行填写模型库中的模型，例如 {name}。可选：{known}。"
    "运行本页面的人可设置 MMDEMO_HUB_IDS=1，或把它写入 MMDEMO_MODELS。",
    "hub_no_config": "{name} 没有可用的 config.json，无法得知是什么模型。可接受：" + _ACCEPTED_ZH,
    "hub_no_weights": "{name} 没有可读取格式的权重：model.safetensors（完整或分片）"
    "或 pytorch_model.bin。可接受：" + _ACCEPTED_ZH,
    "cache_incomplete": "{name} 的文件已下载，模型缓存中却没有。请删除缓存中它的文件夹后重新下载。",
    "load_failed": "{name} 无法载入，原因见程序的日志。请重试，或选择其他模型。",
    "weights_changed": "{name} 的文件在载入之后被更改或删除。请重新选择它，以使用现在的文件。",
    "model_too_large": "{name} 需要 {needed} 内存，而这里的模型最多可用 {most}。请选择较小的模型；"
    "运行此程序的人可设置 MMDEMO_MEMORY（单位 MB）。",
    "unknown_model": "没有名为“{name}”的模型。可选：{known}。",
    "no_such_model": "没有名为“{name}”的模型。已知：{known}；也可填写本机目录的路径，"
    "或模型库中的 id（形如 owner/name）。",
    "two_of_one_name": "可选的模型中有两个都叫“{name}”。请重命名其中一个目录。",
    "path_unreadable": "无法读取“{name}”。请检查路径及其权限。",
    "no_model_there": "“{name}”处没有模型：既不是目录，也不是以 {endings} 结尾的文件。请检查路径。",
    "unknown_architecture": "“{name}”中的模型（{kind}）无法在此展示。可接受：" + _ACCEPTED_ZH,
    "no_config": "“{name}”没有可读取的 config.json，无法得知是什么模型。可接受：" + _ACCEPTED_ZH,
    "several_checkpoints": "“{name}”中有多个权重文件：{stems}。请指明具体文件。",
    "naflex": "这个 SigLIP 2 读取任意形状的图片（NaFlex），无法在此展示。"
    "请改用固定分辨率的，例如 google/siglip2-base-patch16-224。",
    "other_blip": "这个 BLIP 是 {kind}，没有文本和图片的向量。"
    "请改用检索用的，例如 Salesforce/blip-itm-base-coco。",
    "blip_cannot_look": "“{name}”的文本编码器看不到图片：config.json 中 is_decoder 为 false。"
    "请改用检索用的，例如 Salesforce/blip-itm-base-coco。",
    "broken_sizes": "config.json 中的 {entry} 不是大小，应为大于 0 的整数。请从发布处重新获取。",
    "sizes_too_large": "该模型的配置超出了此处能展示的范围：{entry} 为 {value}，最大为 {largest}。"
    "请从发布处重新获取，或改用更小的模型。",
    "no_such_network": "“{name}”中的 config.json 描述的不是 {network}：{reason}",
    "no_weights": "“{name}”没有权重：model.safetensors"
    "（或其分片与 model.safetensors.index.json），或 pytorch_model.bin。",
    "no_parts": "“{name}”中的 {file} 没有列出任何权重分片。",
    "tokenizer_packages": "“{name}”的分词器需要更多软件包：pip install sentencepiece protobuf。",
    "tokenizer_damaged": "“{name}”的分词器文件缺失或已损坏，需要 tokenizer_config.json 与 "
    "tokenizer.json，或模型页面上的词表文件。",
    "tokenizer_of_another": "“{name}”的分词器有 {count} 个词元，而 config.json 是 {known} 个："
    "它们属于不同的模型。",
    "no_picture_reader": "“{name}”没有可读取的 preprocessor_config.json，"
    "无法得知图片如何缩放和归一化。",
    "picture_reader_of_another": "“{name}”的 preprocessor_config.json 把图片变成 {made}，"
    "而 config.json 需要 {wanted}：它们属于不同的模型。",
    "hub_unusable": "无法下载 {name}：{host} 不像模型库那样应答，或模型缓存不可写。"
    "请检查 HF_ENDPOINT 与 HF_HOME。",
    "disk_full": "{name} 还需要模型缓存所在磁盘的 {needed}，而可用空间只有 {free}。"
    "请清理空间，或把 HF_HOME 设为更大磁盘上的文件夹。",
    "downloads_many": "已有 {limit} 个下载在进行，这是同时的上限。请等其中一个结束后再开始。",
    "download_large": "{name} 需要 {size} 的磁盘空间，访问者最多可下载 {limit} 的模型。"
    "请选择更小的模型。运行本页面的人可把它写入 MMDEMO_MODELS，或调高 MMDEMO_LIMITS_DOWNLOAD_MB。",
    "arrived_damaged": "{file} 传输时损坏，已删除。请重新下载。",
    "download_stopped": "下载已停止。已下载的部分会保留，重新开始即可继续。",
    "download_failed": "下载失败，原因见日志。",
    "text_empty": "文本是空的，请至少输入一个词。",
    "labels_none": "还没有标签。请至少输入一个，用逗号或换行分隔。",
    "labels_length": "标签共有 {length} 个字符，最多接受 {limit} 个，请删减。",
    "templates_length": "模板共有 {length} 个字符，最多接受 {limit} 个，请删减。",
    "prompts_many": "{labels} 个标签与 {templates} 个模板共组成 {count} 条提示，"
    "最多接受 {limit} 条。请减少标签，或选用较小的模板集。",
    "text_surrogate": "文字中含有半个字符（孤立的代理项），请重新输入该字符。",
    "labels_many": "共有 {count} 个标签，最多接受 {limit} 个，请删减。",
    "label_long": "第 {position} 个标签有 {length} 个字符，最多接受 {limit} 个。"
    "请缩短，或在标签之间加逗号或换行。",
    "templates_none": "还没有模板。请至少输入一个，用 {{}} 代表标签。",
    "templates_many": "共有 {count} 个模板，最多接受 {limit} 个，请删减。",
    "template_slot": "模板“{template}”里没有 {{}}。请在标签的位置写上 {{}}，例如“一张{{}}的照片。”",
    "template_long": "模板“{template}”有 {length} 个字符，最多接受 {limit} 个，请缩短。",
    "pictures_none": "还没有图片，请至少添加一张。",
    "pictures_many": "共有 {count} 张图片，一次最多接受 {limit} 张，请删减。",
    "scores_many": "{pictures} 张图片与 {labels} 个标签共有 {count} 个分数，"
    "一次最多给出 {limit} 个。请减少图片或标签。",
    "line_full": "排队中已有 {limit} 个请求，没有空位了。请一分钟后再试。",
    "caller_busy": "您已有 {limit} 个请求在等待或运行，这是每位访问者同时的上限。"
    "请等其中一个得到答复后再试。",
    "jobs_many": "您已有 {count} 个分类或排序在等待或运行，这是每位访问者同时的上限。"
    "请等其中一个结束，或停止一个后再试。",
    "seconds_over": "该任务超过了给定的 {limit} 秒，已被结束。请减少一次的内容。",
    "text_length": "文本有 {length} 个字符，最多接受 {limit} 个，请缩短。",
    "no_passages": "没有候选段落，请至少添加一段。",
    "too_many_passages": "共有 {count} 个段落，最多排序 {limit} 个。请减少，或合并一些。",
    "document_length": "段落合计 {length} 个字符，最多接受 {limit} 个。请只取其中一部分。",
    "document_size": "“{name}”超过 {limit} MB，这是文本的上限。请只取其中一部分。",
    "no_document": "没有可读取的文本文件“{name}”。请检查文件名。",
    "document_encoding": "“{name}”不是 UTF-8、UTF-16 或 GB18030 编码的文本文件。"
    "请另存为 UTF-8 文本。",
    "document_empty": "“{name}”里没有文字。",
}

SAMPLE_TEXTS: tuple[str, ...] = (
    "the logo of an open-source organisation",
    "blue whale",
    "蓝鲸",
    "datawhale开源组织的logo",
)
"""Offered below the text field: what the first pictures show, and the course's exercise.

The last is the course's own text, of another logo than theirs: its button says so.
"""

SAMPLE_OTHERS: tuple[str, ...] = ("blue whale", "蓝鲸")
"""Offered below "compare with": the course's exercise."""


def say(language: Language, key: str, **values: object) -> str:
    """Return a string of the page.

    Args:
        language: `en` or `zh`.
        key: a key of `TEXT`.
        **values: what the string mentions, escaped already where it goes into markup.
    """
    # A number and its per-cent sign stay on one line.
    return TEXT[key][language].format(**values).replace(" %", "\u00a0%")
